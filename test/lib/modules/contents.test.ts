/** Test runners compare modules by options, placement and parameters, not as objects without properties. */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { Flatten, Module, ModuleList, Sequential, TokenLearner } from '../../../lib';

const options = { dim: 4, numOutputTokens: 2, device: 'cpu' } as const;

/** Another module of the same options and weights. */
function twin(model: TokenLearner): TokenLearner {
  const copy = new TokenLearner(options);
  copy.loadStateDict(model.stateDict());
  return copy;
}

function expectDifferent(a: Module, b: Module): void {
  expect(a).not.toEqual(b);
  expect(a).not.toStrictEqual(b);
  expect(isDeepStrictEqual(a, b)).toBe(false);
  expect(() => {
    assert.deepEqual(a, b);
  }).toThrow(assert.AssertionError);
}

function expectSame(a: Module, b: Module): void {
  expect(a).toEqual(b);
  expect(a).toStrictEqual(b);
  assert.deepEqual(a, b);
}

test('equal ones have the same options, dtype and parameters', () => {
  const model = new TokenLearner(options);
  expectSame(model, twin(model));
  expectDifferent(model, new TokenLearner(options));
  expectDifferent(model, new TokenLearner({ ...options, numOutputTokens: 3 }));
  expectDifferent(model, twin(model).to('float64'));
  expectSame(new Flatten(), new Flatten(1, -1));
  expectDifferent(new Flatten(), new Flatten(0));
});

test('children count, whether registered or properties', () => {
  class Net extends Module {
    constructor(
      readonly body: TokenLearner,
      hidden: TokenLearner,
    ) {
      super();
      this.registerModule('hidden', hidden);
    }
  }
  const [a, b] = [new TokenLearner(options), new TokenLearner(options)];
  expectSame(new Net(a, b), new Net(twin(a), twin(b)));
  expectDifferent(new Net(a, b), new Net(a, a));
  expectDifferent(new Net(a, b), new Net(b, b));
  expectSame(new Sequential(a, new Flatten()), new Sequential(twin(a), new Flatten()));
  expectDifferent(new Sequential(a, new Flatten()), new Sequential(b, new Flatten()));
  expectDifferent(new Sequential(a), new Sequential(a, new Flatten()));
  expectDifferent(new ModuleList([a]), new ModuleList([b]));
});

test('a disposed one equals only itself, and comparing it does not throw', () => {
  const [gone, other] = [new TokenLearner(options), new TokenLearner(options)];
  gone.dispose();
  other.dispose();
  expectSame(gone, gone);
  expectDifferent(gone, other);
  const list = new Sequential(new Flatten());
  list.dispose();
  expectDifferent(list, new Sequential(new Flatten()));
});

test('a report of a difference shows options and hashes, not the elements', () => {
  const model = new TokenLearner({ ...options, dim: 64 });
  let text = '';
  try {
    expect(model).toEqual(new TokenLearner({ ...options, dim: 64 }));
  } catch (error) {
    text = (error as Error).message;
  }
  expect(text).toMatch(/net\.0\.weight": "float32 \[256, 64, 1, 1\] sha256 [0-9a-f]{16}"/);
  expect(text.length).toBeLessThan(5000);
});

test('walking over modules does not hash their parameters', () => {
  const hash = jest.spyOn(process.getBuiltinModule('node:crypto'), 'createHash');
  const net = new Sequential(new TokenLearner(options), new Flatten());
  net.stateDict();
  net.to('float64').modules();
  expect(String(net)).toContain('TokenLearner');
  expect(hash).not.toHaveBeenCalled();
  expect(net).not.toEqual(new Sequential(new TokenLearner(options), new Flatten()));
  expect(hash).toHaveBeenCalled();
});
