import { resultOf } from './run';

const allTrue = (result: unknown): string[] =>
  Object.entries(result as Record<string, boolean>).flatMap(([name, right]) => (right ? [] : [name]));

test('memory that Node’s own calls use outlives its tensor, and never holds another tensor’s numbers', async () => {
  expect(allTrue(await resultOf('exported', [], ['--expose-gc']))).toEqual([]);
}, 120_000);

test('moved memory keeps its numbers; its tensor and all views throw ERR_DETACHED', async () => {
  const { faults, underRun } = (await resultOf('moved', [], ['--expose-gc'])) as {
    faults: Record<string, string[]>;
    underRun: boolean;
  };
  expect(Object.values(faults).flat()).toEqual([]);
  expect(Object.keys(faults).length).toBeGreaterThan(0);
  expect(underRun).toBe(true);
}, 120_000);

test('memory that a worker sent to the main thread outlives the worker, however the worker ends', async () => {
  expect(allTrue(await resultOf('worker-buffers', ['numbers'], ['--expose-gc']))).toEqual([]);
}, 120_000);

test('workers that send their memory away leak none', async () => {
  const { memory } = (await resultOf('worker-buffers', ['memory', 60], ['--expose-gc'])) as {
    memory: number[];
  };
  // Each worker sends 4 MB. If every other buffer leaked, 20 workers would add 40 MB.
  const peak = (from: number, to: number): number => Math.max(...memory.slice(from, to));
  expect(peak(40, 60) - peak(20, 40)).toBeLessThan(40);
}, 300_000);

test('replaced globals and getters on prototypes do not disturb the sweep', async () => {
  expect(await resultOf('no-globals')).toEqual({ same: true, disposals: 0, sum: 0 });
});
