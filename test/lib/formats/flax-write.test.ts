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

test.each([[['a', 'a/b']], [['a/b', 'a']]])('names that make no tree: %j', (names) => {
  const entries = Object.fromEntries(names.map((name) => [name, sample('float32', [1])]));
  expectThrow(() => serializeFlax(entries), 'ERR_INVALID_ARG_VALUE', /beside a name/);
});
