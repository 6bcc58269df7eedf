import { resultOf } from './run';

test('120 workers one after the other, half terminated during a forward: no growth', async () => {
  const memory = (await resultOf('workers', [120])) as number[];
  expect(memory.length).toBe(120);
  const peak = (from: number, to: number): number => Math.max(...memory.slice(from, to));
  // 60 workers lie between the two windows. Less than 0.5 MB may leak per worker; its environment alone takes about 5 MB.
  expect(peak(90, 120) - peak(30, 60)).toBeLessThan(30);
});
