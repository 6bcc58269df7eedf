import { resultOf } from './run';

const allTrue = (result: unknown): string[] =>
  Object.entries(result as Record<string, boolean>).flatMap(([name, right]) => (right ? [] : [name]));

test('memory in the hands of Node’s own calls outlives its tensor, and holds no other tensor’s numbers', async () => {
  expect(allTrue(await resultOf('exported', [], ['--expose-gc']))).toEqual([]);
}, 120_000);

test('memory that was moved on stays right; its tensor and all views say ERR_DETACHED', async () => {
  const { faults, underRun } = (await resultOf('moved', [], ['--expose-gc'])) as {
    faults: Record<string, string[]>;
    underRun: boolean;
  };
  expect(Object.values(faults).flat()).toEqual([]);
  expect(Object.keys(faults).length).toBeGreaterThan(0);
  expect(underRun).toBe(true);
}, 120_000);

test('a worker’s memory that the main thread was given outlives the worker, however it ends', async () => {
  expect(allTrue(await resultOf('worker-buffers', ['numbers'], ['--expose-gc']))).toEqual([]);
}, 120_000);

test('workers that give their memory away leave none behind', async () => {
  const { memory } = (await resultOf('worker-buffers', ['memory', 60], ['--expose-gc'])) as {
    memory: number[];
  };
  // A worker gives 4 MB: were every other buffer kept, 20 workers would add 40 MB.
  const peak = (from: number, to: number): number => Math.max(...memory.slice(from, to));
  expect(peak(40, 60) - peak(20, 40)).toBeLessThan(40);
}, 120_000);

test('neither globals that were replaced nor getters on prototypes disturb the sweep', async () => {
  expect(await resultOf('no-globals')).toEqual({ same: true, disposals: 0, sum: 0 });
});
