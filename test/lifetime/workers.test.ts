import { resultOf } from './run';

test('200 workers in turn, some terminated in mid-forward: no growth, no crash', async () => {
  const memory = (await resultOf('workers', [200])) as number[];
  expect(memory.length).toBe(200);
  const peak = (from: number, to: number): number => Math.max(...memory.slice(from, to));
  // Of the 100 workers between, each would have to keep less than 0.3 MB; its environment alone takes some 5 MB.
  expect(peak(150, 200) - peak(50, 100)).toBeLessThan(30);
}, 300_000);

test('workers at the same time get the numbers of the main thread', async () => {
  expect(await resultOf('parallel-workers')).toBe(1);
}, 120_000);
