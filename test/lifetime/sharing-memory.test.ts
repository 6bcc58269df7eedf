import { resultOf } from './run';

test('8 workers open a model of some hundred MB, and the process grows by less than one more copy', async () => {
  const { model, growth, equal, shares } = (await resultOf('shared-model')) as Record<string, number>;
  expect({ equal, shares }).toEqual({ equal: true, shares: 1 });
  expect(model).toBeGreaterThan(250e6);
  expect(growth).toBeLessThan(model ?? 0);
});

test('who opens a moved tensor of 64 MB writes into its memory: nothing is copied', async () => {
  const { growth, values } = (await resultOf('moved-memory')) as { growth: number; values: number[] };
  expect(values).toEqual([1, 7, 1]);
  expect(growth).toBeLessThan(32);
});
