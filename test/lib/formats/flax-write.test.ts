import type { ErrorCode } from '../../../lib/errors';
import { ElementParts, type SavedEntries } from '../../../lib/formats/array-entry';
import { parseFlax } from '../../../lib/formats/flax';
import { serializeFlax } from '../../../lib/formats/flax-write';
import { expectThrow, fixture, sample } from './support';

test('the same bytes as flax.serialization.to_bytes', async () => {
  const expected = fixture('written.msgpack');
  expect(Buffer.compare(serializeFlax(await parseFlax(expected)), expected)).toBe(0);
  expect(Buffer.compare(serializeFlax({}), fixture('empty.msgpack'))).toBe(0);
});

test('long names and shapes, maps of 16 keys and more, arrays of every head', async () => {
  const entries = Object.fromEntries(
    [0, 1, 5, 12, 13, 220, 300, 60_000].map((size) => [`${'k'.repeat(size)}/w`, sample('uint8', [size])]),
  );
  for (let i = 0; i < 20; i += 1) entries[`m/${i}`] = sample('float32', [1, 2, 3]);
  entries.long = sample('uint8', [0, 2 ** 33, 200]);
  const read = await parseFlax(serializeFlax(entries));
  expect(Object.keys(read).sort()).toEqual(Object.keys(entries).sort());
  expect(read).toMatchObject(entries);
});

const named = (...names: string[]) => Object.fromEntries(names.map((name) => [name, sample('float32', [1])]));

test.each([
  ['128 parts', 'a/'.repeat(127) + 'w'],
  ['the longest', 'a'.repeat(2 ** 16)],
  ['empty parts', '//'],
])('a name of %s is read back', async (_, name) => {
  expect(Object.keys(await parseFlax(serializeFlax(named(name))))).toEqual([name]);
});

test.each<[string, string, ErrorCode, string]>([
  ['thousands of parts', 'a/'.repeat(8000) + 'w', 'ERR_INVALID_ARG_VALUE', 'at most 128 parts'],
  ['129 parts', 'a/'.repeat(128) + 'w', 'ERR_INVALID_ARG_VALUE', 'at most 128 parts'],
  ['the mark of split arrays', 'a/__msgpack_chunked_array__', 'ERR_INVALID_ARG_VALUE', 'split arrays'],
  ['a lone surrogate', 'a\ud800', 'ERR_INVALID_ARG_VALUE', 'well-formed Unicode'],
  ['too many bytes', '\u00e9'.repeat(2 ** 15) + 'a', 'ERR_OUT_OF_RANGE', '65536 bytes for a name'],
])('a name with %s, which would not be read back, is refused', (_, name, code, message) => {
  expectThrow(() => serializeFlax(named(name)), code, message);
});

test('what a split array adds to the depth counts', () => {
  class Large extends ElementParts {
    override readonly byteLength = 2 ** 31;
    override parts = (): Iterable<never> => [];
  }
  const name = 'a/'.repeat(126) + 'w';
  expectThrow(
    () => serializeFlax({ [name]: { dtype: 'uint8', shape: [2 ** 31], data: new Large() } }),
    'ERR_INVALID_ARG_VALUE',
    'at most 126 parts',
  );
});

test('more maps and tensors than are read back, and longer names', () => {
  const entry = sample('float32', [0]);
  const many = (count: number, name: (i: number) => string) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [name(i), entry]));
  const refused = (entries: SavedEntries, message: string): void => {
    expectThrow(() => serializeFlax(entries), 'ERR_OUT_OF_RANGE', message);
  };
  refused(many(2 ** 17 + 1, String), '131072 tensors');
  refused(
    many(2 ** 17, (i) => `${i}/w`),
    '262144 maps and tensors',
  );
  const long = 'x'.repeat(60_000);
  refused(
    many(300, (i) => `${long}/${i}`),
    'characters together',
  );
});

test.each([[['a', 'a/b']], [['a/b', 'a']]])('names that make no tree: %j', (names) => {
  expectThrow(() => serializeFlax(named(...names)), 'ERR_INVALID_ARG_VALUE', /beside a name/);
});
