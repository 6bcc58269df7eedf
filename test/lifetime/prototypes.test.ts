import { resultOf } from './run';

test('setters and getters on Array.prototype and Object.prototype neither run nor change results', async () => {
  expect(await resultOf('prototypes')).toEqual([]);
});
