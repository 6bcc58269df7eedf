import {
  Batcher,
  Module,
  openShared,
  Sequential,
  Tensor,
  TokenFuser,
  type TokenFuserOptions,
  TokenLearnerV11,
} from '../../../lib';
import { expectReject, expectThrow } from '../formats/support';

const cpu = (options: Omit<TokenFuserOptions, 'device'>): TokenFuser =>
  new TokenFuser({ ...options, device: 'cpu' });

/** Random parameters: a new TokenFuser gives zeros. */
function filled(fuser: TokenFuser): TokenFuser {
  const entries = Object.entries(fuser.stateDict());
  fuser.loadStateDict(Object.fromEntries(entries.map(([name, { shape }]) => [name, Tensor.randn(shape)])));
  return fuser;
}

test('defaults are the official ones', () => {
  expect(cpu({ dim: 12 })).toMatchObject({
    dim: 12,
    numTokens: 8,
    bottleneckDim: 64,
    useNormalization: true,
    eps: 1e-6,
    approximate: 'tanh',
    dtype: 'float32',
  });
});

test('reads like PyTorch’s', () => {
  expect(String(cpu({ dim: 12, bottleneckDim: 5 }))).toBe(
    `TokenFuser(
  (norm1): LayerNorm((12,), eps=1e-06, elementwise_affine=True, bias=True)
  (norm2): LayerNorm((12,), eps=1e-06, elementwise_affine=True, bias=True)
  (mix): Linear(in_features=8, out_features=8, bias=True)
  (norm): LayerNorm((12,), eps=1e-06, elementwise_affine=True, bias=True)
  (mlp): Sequential(
    (0): Linear(in_features=12, out_features=5, bias=True)
    (1): GELU(approximate='tanh')
    (2): Linear(in_features=5, out_features=8, bias=True)
  )
)`,
  );
  expect(String(cpu({ dim: 2, useNormalization: false }))).not.toContain('norm1');
});

test('parameters', () => {
  const mlp = [
    ['mix.weight', [3, 3]],
    ['mix.bias', [3]],
    ['norm.weight', [4]],
    ['norm.bias', [4]],
    ['mlp.0.weight', [5, 4]],
    ['mlp.0.bias', [5]],
    ['mlp.2.weight', [3, 5]],
    ['mlp.2.bias', [3]],
  ];
  const norms = ['norm1.weight', 'norm1.bias', 'norm2.weight', 'norm2.bias'].map((name) => [name, [4]]);
  for (const useNormalization of [true, false]) {
    const dict = cpu({ dim: 4, numTokens: 3, bottleneckDim: 5, useNormalization }).stateDict();
    const shapes = Object.entries(dict).map(([name, { shape }]) => [name, shape]);
    expect(shapes).toEqual([...(useNormalization ? norms : []), ...mlp]);
  }
});

test('a new one gives zeros: a block around it starts as the identity', () => {
  const x = Tensor.randn([2, 6, 3, 4]);
  const tokens = new TokenLearnerV11({ dim: 6, device: 'cpu' }).forwardSync(x);
  const output = cpu({ dim: 6 }).forwardSync(tokens, x);
  expect(output.shape).toEqual([2, 6, 3, 4]);
  expect(output.data.every((value) => value === 0)).toBe(true);
});

test('a dtype moves with the module', () => {
  const fuser = filled(cpu({ dim: 6 })).to('float64');
  const [tokens, x] = [Tensor.randn([6, 8]), Tensor.randn([6, 3, 4])];
  expect(fuser.forwardSync(tokens.to('float64'), x.to('float64')).dtype).toBe('float64');
  expectThrow(() => fuser.forwardSync(tokens as never, x.to('float64')), 'ERR_DTYPE_MISMATCH', '`tokens`');
  expectThrow(() => fuser.forwardSync(tokens.to('float64'), x as never), 'ERR_DTYPE_MISMATCH', '`original`');
});

test.each<[string, number[], number[], object, string]>([
  ['other channels', [6, 8], [5, 3, 4], {}, '6 channels'],
  ['other tokens', [6, 7], [6, 3, 4], {}, 'tokens of shape'],
  ['tokens last', [8, 6], [6, 3, 4], {}, 'tokens of shape'],
  ['tokens first', [6, 8], [6, 3, 4], { layout: 'tokens-first' }, 'tokens of shape'],
  ['another batch', [2, 6, 8], [3, 6, 3, 4], {}, 'tokens of shape'],
  ['no batch', [6, 8], [1, 6, 3, 4], {}, 'tokens of shape'],
  ['rank 2', [6, 8], [12, 6], {}, 'at least 3 dimensions'],
  ['no pixel', [6, 8], [6, 0, 4], {}, 'at least one pixel'],
])('%s is refused', async (_, tokens, original, options, message) => {
  const fuser = cpu({ dim: 6 });
  const run = (): Promise<Tensor> => fuser.forward(Tensor.ones(tokens), Tensor.ones(original), options);
  await expectReject(run(), 'ERR_SHAPE_MISMATCH', message);
});

test('misuse', async () => {
  const fuser = cpu({ dim: 6 });
  const [tokens, x] = [Tensor.ones([6, 8]), Tensor.ones([6, 3, 4])];
  expectThrow(() => fuser.forwardSync(tokens, undefined as never), 'ERR_INVALID_ARG_TYPE', '`original`');
  expectThrow(() => fuser.forwardSync(undefined as never, x), 'ERR_INVALID_ARG_TYPE', '`tokens`');
  expectThrow(
    () => fuser.forwardSync(tokens, x, { pixels: 'flat' }),
    'ERR_INVALID_ARG_VALUE',
    'channels-last',
  );
  expectThrow(() => new Batcher(fuser), 'ERR_INVALID_ARG_VALUE', 'two');
  await expectReject(new Sequential(fuser).forward(x), 'ERR_INVALID_ARG_TYPE', '`original`');
  expectThrow(() => cpu({ dim: 6, allowTf32: 1 as never }), 'ERR_INVALID_ARG_TYPE', 'options.allowTf32');
  expectThrow(() => cpu({ dim: 6, engine: 'grouped-conv' as never }), 'ERR_INVALID_ARG_VALUE', 'libtorch');
  expectThrow(
    () => cpu({ dim: 6, useNormalization: 1 as never }),
    'ERR_INVALID_ARG_TYPE',
    'useNormalization',
  );
  expectThrow(() => TokenFuser.fromStateDict({ 'norm.weight': x }), 'ERR_STATE_DICT', 'TokenFuser');
  const learner = new TokenLearnerV11({ dim: 6, device: 'cpu' });
  expectThrow(() => TokenFuser.fromStateDict(learner.stateDict()), 'ERR_STATE_DICT', 'TokenLearnerV11');
  fuser.dispose();
  await expectReject(fuser.forward(tokens, x), 'ERR_DISPOSED', 'TokenFuser');
});

test('fromStateDict keeps the dtype of the weights where none is asked for', () => {
  const dict = cpu({ dim: 2, dtype: 'float64' }).stateDict();
  expect(TokenFuser.fromStateDict(dict, { device: 'cpu', dtype: undefined } as object).dtype).toBe('float64');
});

test('outputShape is the shape of the original', () => {
  expect(cpu({ dim: 6 }).outputShape([2, 6, 3, 4])).toEqual([2, 6, 3, 4]);
  expectThrow(() => cpu({ dim: 6 }).outputShape([2, 5, 3, 4]), 'ERR_SHAPE_MISMATCH', '6 channels');
});

test('a batch of none', () => {
  const output = cpu({ dim: 6 }).forwardSync(Tensor.ones([0, 6, 8]), Tensor.ones([0, 6, 3, 4]));
  expect(output.shape).toEqual([0, 6, 3, 4]);
});

test.each(['fused', 'libtorch'] as const)('another thread opens it, engine %s', (engine) => {
  const fuser = filled(
    cpu({ dim: 6, numTokens: 3, bottleneckDim: 5, approximate: 'none', eps: 1e-5, engine }),
  );
  const opened = openShared(structuredClone(fuser.share()));
  expect(opened).toBeInstanceOf(TokenFuser);
  expect(String(opened)).toBe(String(fuser));
  const [tokens, x] = [Tensor.randn([2, 6, 3]), Tensor.randn([2, 6, 3, 4])];
  expect(opened.forwardSync(tokens, x).toJSON()).toEqual(fuser.forwardSync(tokens, x).toJSON());
});

test('a part of a module of the user', async () => {
  class Block extends Module {
    readonly learner = new TokenLearnerV11({ dim: 6, device: 'cpu' });
    readonly fuser = filled(cpu({ dim: 6 }));
    override async forward(x: Tensor): Promise<Tensor> {
      return this.fuser.forward(await this.learner.forward(x), x);
    }
  }
  const block = new Block();
  expect(Object.keys(block.stateDict())).toContain('fuser.mix.weight');
  const x = Tensor.randn([2, 6, 3, 4]);
  const y = (await new Sequential(block).forward(x)).toJSON();
  expect(y).toEqual((await block.forward(x)).toJSON());
});
