import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';

import { checkFilePath, withInput } from '../../../lib/formats/input';
import { expectReject, expectThrow } from './support';

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tokenlearner-input-'));
  file = path.join(folder, 'a file #1.bin');
  await writeFile(file, 'abcd');
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const content = (input: unknown): Promise<[string, string, string | undefined]> =>
  withInput(input, async ({ source, name, path: of }) => {
    const target = Buffer.alloc(source.size);
    await source.read(target, 0);
    return [target.toString('latin1'), name, of];
  });

test('a path, a URL and the text of a URL name a file', async () => {
  for (const input of [file, pathToFileURL(file), pathToFileURL(file).href])
    expect(await content(input)).toEqual(['abcd', file, file]);
  const { href, protocol } = pathToFileURL(file);
  expect(await content({ href, protocol })).toEqual(['abcd', file, file]);
});

test('bytes of each kind', async () => {
  const bytes = Buffer.from('xabcdx').subarray(1, 5);
  const own = new Uint8Array(bytes);
  const shared = new Uint8Array(new SharedArrayBuffer(4));
  shared.set(own);
  for (const input of [bytes, own, own.buffer, shared, shared.buffer])
    expect(await content(input)).toEqual(['abcd', 'the given bytes', undefined]);
});

test('a Blob and a File', async () => {
  expect(await content(new Blob(['ab', 'cd']))).toEqual(['abcd', 'the given Blob', undefined]);
  expect(await content(new Blob(['xabcd']).slice(1))).toEqual(['abcd', 'the given Blob', undefined]);
});

test('streams of each kind', async () => {
  const streams = [
    Readable.from([Buffer.from('ab'), Buffer.from('cd')]),
    new Blob(['abcd']).stream(),
    (async function* () {
      yield Buffer.from('abc');
      await Promise.resolve();
      yield Buffer.from('d');
    })(),
  ];
  for (const input of streams) expect(await content(input)).toEqual(['abcd', 'the given stream', undefined]);
});

test.each([
  undefined,
  null,
  3,
  true,
  {},
  [],
  [1, 2],
  new Float32Array(1),
  new DataView(new ArrayBuffer(1)),
  new Map(),
])('%p is refused', async (input) => {
  await expectReject(
    content(input),
    'ERR_INVALID_ARG_TYPE',
    /Expected a path, a file URL, .* for `path` but/,
  );
});

test.each([new URL('https://example.org/w.bin'), 'file://host%00/a', 'file:///a%2fb', ''])(
  'the path %p is refused',
  async (input) => {
    await expectReject(content(input), 'ERR_INVALID_ARG_VALUE', /for `path` but received '/);
  },
);

test('memory that was transferred', async () => {
  const moved = (array: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> => {
    structuredClone(array.buffer, { transfer: [array.buffer] });
    return array;
  };
  const bytes = moved(new Uint8Array(4));
  const stream = Readable.from([Buffer.from('ab'), moved(new Uint8Array(4))]);
  for (const input of [bytes, bytes.buffer, stream])
    await expectReject(content(input), 'ERR_DETACHED', /the memory was detached \(transferred\)/);
  for (const input of [new Uint8Array(0), new ArrayBuffer(0)])
    expect(await content(input)).toEqual(['', 'the given bytes', undefined]);
});

test.each([NaN, -1, 0.5, Infinity, 2 ** 53])('a Blob of %d bytes', async (size) => {
  const blob = { size, slice: () => blob, arrayBuffer: () => Promise.resolve(new ArrayBuffer(0)) };
  await expectReject(content(blob), 'ERR_OUT_OF_RANGE', /Expected an integer from 0 to .* for `path\.size`/);
});

test('a path to write to is a path or a URL', () => {
  expect(checkFilePath(pathToFileURL(file))).toBe(file);
  expect(checkFilePath('relative/a')).toBe('relative/a');
  expectThrow(() => checkFilePath(new Uint8Array(1)), 'ERR_INVALID_ARG_TYPE', /`path`/);
});
