import { resultOf } from './run';

// A result is 128 KB. If one in ten leaked, the last 10,000 of 20,000 forwards would add 128 MB.
const COUNT = 20_000;
const ONE_IN_TEN = 128;

test.each(['async', 'sync', 'data'])(
  '%s: resident memory levels off over 20,000 forwards without a dispose',
  async (how) => {
    const [, second = 0, , fourth = Infinity] = (await resultOf(
      'memory',
      [how, COUNT],
      ['--expose-gc'],
    )) as number[];
    expect(fourth - second).toBeLessThan(ONE_IN_TEN);
  },
);

test('dispose frees memory in a loop that never yields, even if data was read', async () => {
  // Without dispose 4,000 results of 128 KB would stay: 512 MB.
  expect(await resultOf('dispose-loop')).toBeLessThan(ONE_IN_TEN);
});

test('the memory of a burst of queued inputs goes back to the system', async () => {
  // 2,000 copies of 256 KB wait: 500 MB. The queue may keep 64 MB for reuse.
  const [during, after] = (await resultOf('burst', [2000], ['--expose-gc'])) as [number, number];
  expect(during).toBeGreaterThan(200);
  expect(after).toBeLessThan(ONE_IN_TEN);
});
