import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  blobSource,
  bytesSource,
  fileSource,
  streamSource,
  type ByteSource,
} from '../../../lib/formats/byte-source';
import { readCheckpoint } from '../../../lib/formats/checkpoint';
import { SourceReader } from '../../../lib/formats/zip-directory';
import { expectReject, turnsDuring } from './support';

function read(source: ByteSource, length: number, position: number): Promise<number[]> {
  const target = Buffer.alloc(length + 2);
  return new Promise((resolve, reject) => {
    new SourceReader(source).read(target, 1, length, position, (error) => {
      if (error === null) resolve([...target]);
      else reject(error);
    });
  });
}

describe.each(['memory', 'file'])('SourceReader over a %s', (kind) => {
  let folder: string;
  let close: (() => Promise<void>) | undefined;
  let source: ByteSource;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tokenlearner-byte-source-'));
    const bytes = Uint8Array.of(10, 11, 12, 13);
    const path = join(folder, 'a');
    await writeFile(path, bytes);
    const handle = await open(path);
    close = () => handle.close();
    source = kind === 'file' ? fileSource(handle, 4, path) : bytesSource(bytes);
  });
  afterEach(async () => {
    await close?.();
    await rm(folder, { recursive: true });
  });

  test('fills the part of the buffer that is asked for', async () => {
    expect(await read(source, 2, 1)).toEqual([0, 11, 12, 0]);
    expect(await read(source, 4, 0)).toEqual([0, 10, 11, 12, 13, 0]);
  });

  test.each([3, 4, 5, 2 ** 53, 2 ** 64])('position %d is out of bounds', async (position) => {
    await expect(read(source, 2, position)).rejects.toThrow(`position ${position} is out of bounds`);
  });

  test('a file that became shorter is an error', async () => {
    if (kind === 'memory') return;
    await writeFile(join(folder, 'a'), 'x');
    await expect(read(source, 4, 0)).rejects.toThrow(/became shorter/);
  });
});

test('an archive whose directory is said to lie at 2^63 is an error, not a crash', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tokenlearner-byte-source-'));
  try {
    const locator = Buffer.alloc(20);
    locator.write('PK\x06\x07', 'latin1');
    locator.writeBigUInt64LE(2n ** 63n, 8);
    const end = Buffer.alloc(22);
    end.write('PK\x05\x06', 'latin1');
    const path = join(folder, 'a.pt');
    await writeFile(path, Buffer.concat([Buffer.from('PK'), locator, end]));
    await expectReject(readCheckpoint(path), 'ERR_FILE_FORMAT', /out of bounds/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('memory that is transferred while it is read is an error', async () => {
  const bytes = new Uint8Array(4);
  const source = bytesSource(bytes, 'these bytes');
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  const reading = source.read(new Uint8Array(2), 0);
  await expectReject(reading, 'ERR_DETACHED', 'these bytes: the memory was detached (transferred)');
});

describe('blobSource', () => {
  test('reads parts, also large ones', async () => {
    const bytes = Uint8Array.from({ length: 5_000_000 }, (_, i) => i % 251);
    const source = blobSource(new Blob([bytes]), 'blob');
    expect(source.size).toBe(bytes.length);
    const target = new Uint8Array(bytes.length - 3);
    await source.read(target, 3);
    expect(Buffer.compare(target, bytes.subarray(3))).toBe(0);
  });

  const like = (arrayBuffer: () => Promise<ArrayBuffer>) => {
    const blob = { size: 4, arrayBuffer, slice: () => blob };
    return blobSource(blob, 'blob');
  };

  test('a part that is shorter than it should be is an error', async () => {
    const reading = like(() => Promise.resolve(new ArrayBuffer(1))).read(new Uint8Array(4), 0);
    await expectReject(reading, 'ERR_FILE_FORMAT', 'blob: gave 1 bytes at 0 instead of 4');
  });

  test("the blob's own error is the cause", async () => {
    const cause = new Error('gone');
    const reading = like(() => Promise.reject(cause)).read(new Uint8Array(4), 0);
    expect((await expectReject(reading, 'ERR_FILE_IO', 'blob: cannot be read: gone')).cause).toBe(cause);
  });
});

describe('streamSource', () => {
  // eslint-disable-next-line @typescript-eslint/require-await -- a generator of what is there
  async function* chunked(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
    const chunk = new Uint8Array(size);
    for (let done = 0; done < bytes.length; done += size) {
      const part = bytes.subarray(done, done + size);
      chunk.set(part);
      // The same memory each time: the source must copy.
      yield chunk.subarray(0, part.length);
    }
  }

  test.each([1000, 4_194_304, 4_194_305, 9_000_000])('takes chunks of %d bytes', async (size) => {
    const bytes = Uint8Array.from({ length: 9_000_001 }, (_, i) => i % 253);
    const source = await streamSource(chunked(bytes, size), 'stream');
    expect(source.size).toBe(bytes.length);
    const target = new Uint8Array(8_000_000);
    await source.read(target, 999_999);
    expect(Buffer.compare(target, bytes.subarray(999_999, 8_999_999))).toBe(0);
    await expectReject(source.read(new Uint8Array(2), 12_582_911), 'ERR_FILE_FORMAT', 'beyond its end');
  });

  test('a large chunk is copied in slices', async () => {
    const chunk = new Uint8Array(40 * 2 ** 20);
    // eslint-disable-next-line @typescript-eslint/require-await -- a generator of what is there
    const chunks = (async function* () {
      yield chunk;
    })();
    expect(await turnsDuring(() => streamSource(chunks, 'stream'))).toBeGreaterThanOrEqual(10);
  });

  test('a chunk that is transferred while it is copied is an error', async () => {
    const chunk = new Uint8Array(12 * 2 ** 20);
    // eslint-disable-next-line @typescript-eslint/require-await -- a generator of what is there
    const chunks = (async function* () {
      yield chunk;
    })();
    const reading = turnsDuring(() => {
      setImmediate(() => structuredClone(chunk.buffer, { transfer: [chunk.buffer] }));
      return streamSource(chunks, 'stream');
    });
    await expectReject(reading, 'ERR_DETACHED', 'stream: the memory was detached');
  });

  test('an empty stream', async () => {
    expect((await streamSource(chunked(new Uint8Array(0), 1), 'stream')).size).toBe(0);
  });

  test.each(['text', 3, [1], new Uint16Array(1)])('the chunk %p is refused', async (chunk) => {
    // eslint-disable-next-line @typescript-eslint/require-await -- a generator of what is there
    const chunks = (async function* () {
      yield chunk;
    })();
    await expectReject(streamSource(chunks, 'stream'), 'ERR_INVALID_ARG_TYPE', 'a Uint8Array for `chunk`');
  });

  test("the stream's own error is the cause", async () => {
    const cause = new Error('reset');
    // eslint-disable-next-line @typescript-eslint/require-await -- a generator of what is there
    const chunks = (async function* () {
      yield new Uint8Array(1);
      throw cause;
    })();
    const error = await expectReject(streamSource(chunks, 'stream'), 'ERR_FILE_IO', 'cannot be read: reset');
    expect(error.cause).toBe(cause);
  });
});
