import { resultOf } from './run';

test('workers that send their memory away leak none', async () => {
  const { memory } = (await resultOf('worker-buffers', ['memory', 60], ['--expose-gc'])) as {
    memory: number[];
  };
  // Each worker sends 4 MB. If every other buffer leaked, 20 workers would add 40 MB.
  const peak = (from: number, to: number): number => Math.max(...memory.slice(from, to));
  expect(peak(40, 60) - peak(20, 40)).toBeLessThan(40);
});
