import { resultOf } from './run';

test('60 workers one after the other, half terminated during a forward: no crash', async () => {
  expect(await resultOf('workers', [60])).toHaveLength(60);
});

test('concurrent workers get the same numbers as the main thread', async () => {
  expect(await resultOf('parallel-workers')).toBe(1);
});
