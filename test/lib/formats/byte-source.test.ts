import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { bytesSource, fileSource, SourceReader, type ByteSource } from '../../../lib/formats/byte-source';
import { readCheckpoint } from '../../../lib/formats/checkpoint';
import { expectReject } from './support';

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
