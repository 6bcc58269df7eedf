import { inspect } from 'node:util';
import { Flatten, Linear, Sequential, Tensor, TokenLearner } from '../../lib';

test.each<[string, () => object, string]>([
  ['a tensor', () => Tensor.ones([2]), 'tensor.move()'],
  ['a tensor in an object', () => ({ tokens: [Tensor.ones([2])] }), 'tensor.share()'],
  ['a TokenLearner', () => new TokenLearner({ dim: 2, device: 'cpu' }), 'module.share()'],
  ['a Sequential', () => new Sequential(new Flatten()), 'openShared()'],
])('cloning %s throws and says what to do', (_, make, remedy) => {
  const { port1 } = new MessageChannel();
  for (const clone of [
    structuredClone,
    (value: object) => {
      port1.postMessage(value);
    },
  ]) {
    expect(() => clone(make())).toThrow(remedy);
  }
  port1.close();
});

test('printing a module shows PyTorch’s repr', () => {
  const module = new Linear(2, 3, { device: 'cpu' });
  expect(inspect(module)).toBe(module.toString());
  module.dispose();
  expect(inspect(module)).toBe('Linear(disposed)');
});

test('a state dict may be a Map', () => {
  const source = new Linear(2, 3, { device: 'cpu' });
  const target = new Linear(2, 3, { device: 'cpu' });
  const dict = new Map(Object.entries(source.stateDict()));
  expect(target.loadStateDict(dict)).toEqual({ missingKeys: [], unexpectedKeys: [] });
  expect(target.parameters().map((tensor) => tensor.toJSON())).toEqual(
    source.parameters().map((tensor) => tensor.toJSON()),
  );
  const learner = new TokenLearner({ dim: 2, device: 'cpu' });
  expect(
    TokenLearner.fromStateDict(new Map(Object.entries(learner.stateDict())), { device: 'cpu' }).dim,
  ).toBe(2);
  expect(() => target.loadStateDict(new Map([[1, Tensor.ones([1])]]) as never)).toThrow('a string');
});
