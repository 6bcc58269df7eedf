import { Pace } from '../../../lib/formats/pace';
import { sorted } from '../../../lib/formats/sort';
import { turnsDuring } from './support';

interface Item {
  key: number;
  at: number;
}

/** Items with few keys, so that many are equal. */
const items = (count: number): Item[] =>
  Array.from({ length: count }, (_, at) => ({ key: (at * 7919) % 257, at }));
const byKey = (a: Item, b: Item): number => a.key - b.key;

test.each([0, 1, 4096, 4097, 20_000])('%d items are in order, and equal ones as they were', async (count) => {
  const given = items(count);
  const expected = items(count).sort((a, b) => a.key - b.key || a.at - b.at);
  expect(await sorted(given, byKey, new Pace())).toEqual(expected);
  expect(given).toEqual(items(count));
});

test('the event loop turns while many are sorted', async () => {
  expect(await turnsDuring(() => sorted(items(40_000), byKey, new Pace()))).toBeGreaterThan(30);
});
