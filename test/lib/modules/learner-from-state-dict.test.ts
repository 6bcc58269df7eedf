import {
  learnerFromStateDict,
  type StateDict,
  Tensor,
  TokenFuser,
  TokenLearner,
  TokenLearnerV10,
  TokenLearnerV11,
  type TokenPooling,
} from '../../../lib';
import { expectThrow } from '../formats/support';

const device = 'cpu';
const x = Tensor.randn([2, 16, 3, 4]);

/** The entries with a prefix before their names. */
function under(prefix: string, dict: StateDict): StateDict {
  return Object.fromEntries(Object.entries(dict).map(([name, tensor]) => [prefix + name, tensor]));
}

test.each<[string, TokenPooling]>([
  ['a TokenLearner', new TokenLearner({ dim: 16, numOutputTokens: 3, device })],
  ['v1.0', new TokenLearnerV10({ dim: 16, device })],
  ['v1.1', new TokenLearnerV11({ dim: 16, device })],
  ['v1.1 of 2021', new TokenLearnerV11({ dim: 16, variant: 'a', device })],
])('%s is found by its names', (_, model) => {
  const made = learnerFromStateDict(model.stateDict(), { device, engine: 'fused' });
  expect(made).toBeInstanceOf(model.constructor);
  expect(made.forwardSync(x).toJSON()).toEqual(model.forwardSync(x).toJSON());
});

test.each<typeof TokenLearner | typeof TokenLearnerV10 | typeof TokenLearnerV11>([
  TokenLearner,
  TokenLearnerV10,
  TokenLearnerV11,
])('%p: undefined is the default', (Learner) => {
  const dict = new Learner({ dim: 2, dtype: 'float64', device }).stateDict();
  const own = (Learner as typeof TokenLearner).fromStateDict(dict, { dtype: undefined, device } as object);
  expect(own.dtype).toBe('float64');
  const others = { dtype: undefined, pooling: undefined, variant: undefined, device } as object;
  expect(learnerFromStateDict(dict, others).dtype).toBe('float64');
});

test('options of the other one are refused', () => {
  const dict = new TokenLearner({ dim: 4, device }).stateDict();
  expectThrow(() => learnerFromStateDict(dict, { eps: 1e-5 }), 'ERR_INVALID_ARG_VALUE', "'eps'");
  const other = new TokenLearnerV11({ dim: 4, device }).stateDict();
  expectThrow(
    () => learnerFromStateDict(other, { engine: 'grouped-conv' }),
    'ERR_INVALID_ARG_VALUE',
    'libtorch',
  );
});

test('weights of which a part would be left out, or of an incomplete other module', () => {
  const v10 = {
    ...new TokenLearnerV10({ dim: 4, device }).stateDict(),
    'attention.2.bias': Tensor.ones([8]),
  };
  for (const load of [learnerFromStateDict, TokenLearnerV10.fromStateDict.bind(TokenLearnerV10)])
    expectThrow(() => load(v10), 'ERR_STATE_DICT', '"attention.2.bias", which no TokenLearnerV10 has');
  const { 'norm2.weight': norm2, ...fuser } = new TokenFuser({ dim: 4, device }).stateDict();
  expect(norm2).toBeDefined();
  expectThrow(() => TokenFuser.fromStateDict(fuser), 'ERR_STATE_DICT', 'it has no norm2.weight');
  for (const load of [learnerFromStateDict, TokenLearnerV11.fromStateDict.bind(TokenLearnerV11)])
    expectThrow(() => load(fuser), 'ERR_STATE_DICT', 'its keys are: ');
});

test('blocks of a backbone that have the names of a v1.1 do not hide the learner', () => {
  const block = new TokenLearnerV11({ dim: 16, numOutputTokens: 16, bottleneckDim: 64, device });
  const gamma = Tensor.ones([16]);
  const backbone = {
    ...under('stages.0.', { ...block.stateDict(), gamma }),
    ...under('stages.1.', { ...block.stateDict(), gamma }),
  };
  for (const model of [
    new TokenLearner({ dim: 16, device }),
    new TokenLearnerV10({ dim: 16, device }),
    new TokenLearnerV11({ dim: 16, device }),
  ]) {
    const made = learnerFromStateDict({ ...backbone, ...under('tokens.', model.stateDict()) }, { device });
    expect(made).toBeInstanceOf(model.constructor);
    expect(made.numOutputTokens).toBe(8);
  }
});

test.each<[string, StateDict, string]>([
  [
    'a prefix',
    under('module.', new TokenLearner({ dim: 2, device }).stateDict()),
    'a TokenLearner under "module.": use learnerFromStateDict',
  ],
  [
    'another module',
    new TokenLearnerV10({ dim: 2, device }).stateDict(),
    'a TokenLearnerV10: use learnerFromStateDict',
  ],
  ['a TokenFuser', new TokenFuser({ dim: 2, device }).stateDict(), 'a TokenFuser'],
  ['nothing', {}, 'the state dict is empty'],
])('TokenLearner.fromStateDict of %s: the message says what is there', (_, dict, message) => {
  let text = '';
  try {
    TokenLearner.fromStateDict(dict);
  } catch (error) {
    text = (error as Error).message;
  }
  expect(text.endsWith(message)).toBe(true);
});

test('names in messages are escaped', () => {
  expectThrow(
    () => learnerFromStateDict({ 'a\x1b\x9b': Tensor.ones([2]) }),
    'ERR_STATE_DICT',
    String.raw`"a\u001b\u{9b}"`,
  );
});

test('weights of none, or of two', () => {
  expectThrow(() => learnerFromStateDict({}), 'ERR_STATE_DICT', '');
  expectThrow(() => learnerFromStateDict({ 'head.weight': Tensor.ones([2]) }), 'ERR_STATE_DICT', '');
  expectThrow(() => learnerFromStateDict({ weight: 1 } as never), 'ERR_INVALID_ARG_TYPE', 'weight');
  const v11 = new TokenLearnerV11({ dim: 16, device }).stateDict();
  const { 'mlp.2.bias': bias, ...rest } = v11;
  expect(bias).toBeDefined();
  expectThrow(() => learnerFromStateDict(rest), 'ERR_STATE_DICT', 'mlp.2.bias');
  const two = { ...under('a.', v11), ...under('b.', v11) };
  expectThrow(() => learnerFromStateDict(two), 'ERR_STATE_DICT', 'prefix');
  expect(
    learnerFromStateDict(two, { prefix: 'b' })
      .forwardSync(Tensor.ones([16, 1, 1]))
      .toJSON(),
  ).toEqual(Tensor.ones([16, 8]).toJSON());
  expectThrow(() => learnerFromStateDict(two, { prefix: 'c' }), 'ERR_STATE_DICT', '"c"');
  // As many tokens as channels: other models have such blocks, but as parts of more.
  const square = new TokenLearnerV11({ dim: 8, device }).stateDict();
  expectThrow(
    () => learnerFromStateDict({ ...under('a.', v11), ...under('b.', square) }),
    'ERR_STATE_DICT',
    'choose one with `prefix`: "a.", "b."',
  );
  const plain = new TokenLearner({ dim: 4, numOutputTokens: 2, device });
  const nested = under('a.', plain.stateDict());
  expect(learnerFromStateDict(nested, { prefix: 'a' }).numOutputTokens).toBe(2);
  expect(learnerFromStateDict(nested).numOutputTokens).toBe(2);
  expectThrow(
    () => learnerFromStateDict({ ...nested, ...under('b.', plain.stateDict()) }),
    'ERR_STATE_DICT',
    '"b."',
  );
  const mixed = { ...nested, ...under('b.', v11) };
  expectThrow(() => learnerFromStateDict(mixed), 'ERR_STATE_DICT', 'TokenLearner and TokenLearnerV11');
  expect(learnerFromStateDict(mixed, { prefix: 'a.' })).toBeInstanceOf(TokenLearner);
  const both = { ...two, ...new TokenLearnerV10({ dim: 4, device }).stateDict() };
  expectThrow(() => learnerFromStateDict(both), 'ERR_STATE_DICT', 'TokenLearnerV10 and TokenLearnerV11');
  expect(learnerFromStateDict(both, { prefix: '' })).toBeInstanceOf(TokenLearnerV10);
});
