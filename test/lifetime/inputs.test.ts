import { resultOf } from './run';

test('a running forward is correct, whatever happens to its input, its module or the parameters', async () => {
  expect(await resultOf('inputs', [], ['--expose-gc'])).toEqual({
    disposed: true,
    collected: true,
    transferred: true,
    'module disposed': true,
    'parameters replaced': true,
  });
});
