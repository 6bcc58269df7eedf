import { resultOf } from './run';

const allTrue = (result: unknown): string[] =>
  Object.entries(result as Record<string, boolean>).flatMap(([name, right]) => (right ? [] : [name]));

test('memory that Node’s own calls use outlives its tensor, and never holds another tensor’s numbers', async () => {
  expect(allTrue(await resultOf('exported', [], ['--expose-gc']))).toEqual([]);
});

test('moved memory keeps its numbers; its tensor and all views throw ERR_DETACHED', async () => {
  const { faults, underRun } = (await resultOf('moved', [], ['--expose-gc'])) as {
    faults: Record<string, string[]>;
    underRun: boolean;
  };
  expect(Object.values(faults).flat()).toEqual([]);
  expect(Object.keys(faults).length).toBeGreaterThan(0);
  expect(underRun).toBe(true);
});

test('memory that a worker sent to the main thread outlives the worker, however the worker ends', async () => {
  expect(allTrue(await resultOf('worker-buffers', ['numbers'], ['--expose-gc']))).toEqual([]);
});

test('replaced globals and getters on prototypes do not disturb the sweep', async () => {
  expect(await resultOf('no-globals')).toEqual({ same: true, disposals: 0, sum: 0 });
});
