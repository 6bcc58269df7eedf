import { resultOf } from './run';

test('whatever becomes of the input, the module or its parameters, a running forward is right', async () => {
  expect(await resultOf('inputs', [], ['--expose-gc'])).toEqual({
    disposed: true,
    collected: true,
    transferred: true,
    'module disposed': true,
    'parameters replaced': true,
  });
});
