import { resultOf } from './run';

test('setters and getters on Array.prototype and Object.prototype see and change nothing', async () => {
  expect(await resultOf('prototypes')).toEqual([]);
});
