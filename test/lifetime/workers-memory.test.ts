import { resultOf } from './run';

test('200 workers one after the other, half terminated during a forward: no growth', async () => {
  const memory = (await resultOf('workers', [200])) as number[];
  expect(memory.length).toBe(200);
  const peak = (from: number, to: number): number => Math.max(...memory.slice(from, to));
  // 100 workers lie between the two windows. Less than 0.3 MB may leak per worker; its environment alone takes about 5 MB.
  expect(peak(150, 200) - peak(50, 100)).toBeLessThan(30);
}, 300_000);
