import {
  Linear,
  manualSeed,
  Sequential,
  Tensor,
  TokenLearnerV11,
  type TokenLearnerV11Options,
} from '../../../lib';
import { methodOf } from '../support';
import { expectReject, expectThrow } from '../formats/support';

const cpu = (options: Omit<TokenLearnerV11Options, 'device'>): TokenLearnerV11 =>
  new TokenLearnerV11({ ...options, device: 'cpu' });

test('defaults are the official ones', () => {
  expect(cpu({ dim: 512 })).toMatchObject({
    dim: 512,
    numOutputTokens: 8,
    bottleneckDim: 64,
    variant: 'd',
    eps: 1e-6,
    approximate: 'tanh',
    dtype: 'float32',
  });
  expect(cpu({ dim: 16 }).groups).toBeUndefined();
  expect(cpu({ dim: 16, variant: 'a' })).toMatchObject({ groups: 8, bottleneckDim: undefined });
  expect(cpu({ dim: 40, variant: 'b' }).groups).toBe(1);
  expect(cpu({ dim: 512, variant: 'b' }).groups).toBe(4);
  expect(cpu({ dim: 12, variant: 'a', groups: 3 }).groups).toBe(3);
});

test('reads like PyTorch’s', () => {
  expect(String(cpu({ dim: 512 }))).toBe(
    `TokenLearnerV11(
  (norm): LayerNorm((512,), eps=1e-06, elementwise_affine=True, bias=True)
  (mlp): Sequential(
    (0): Linear(in_features=512, out_features=64, bias=True)
    (1): GELU(approximate='tanh')
    (2): Linear(in_features=64, out_features=8, bias=True)
  )
)`,
  );
  expect(String(cpu({ dim: 16, variant: 'a', numOutputTokens: 3 }))).toBe(
    `TokenLearnerV11(
  (norm): LayerNorm((16,), eps=1e-06, elementwise_affine=True, bias=True)
  (attention): Sequential(
    (0): Conv2d(16, 16, kernel_size=(1, 1), stride=(1, 1), groups=8, bias=False)
    (1): Conv2d(16, 3, kernel_size=(1, 1), stride=(1, 1), bias=False)
  )
  (value): Conv2d(16, 16, kernel_size=(1, 1), stride=(1, 1), groups=8, bias=False)
)`,
  );
});

test.each([
  ['d', ['mlp.0.weight', [5, 4]], ['mlp.0.bias', [5]], ['mlp.2.weight', [3, 5]], ['mlp.2.bias', [3]]],
  [
    'a',
    ['attention.0.weight', [4, 2, 1, 1]],
    ['attention.1.weight', [3, 4, 1, 1]],
    ['value.weight', [4, 2, 1, 1]],
  ],
  [
    'b',
    ['attention.0.weight', [4, 2, 1, 1]],
    ['attention.2.weight', [3, 4, 1, 1]],
    ['value.weight', [4, 2, 1, 1]],
  ],
] as const)('parameters of variant %s', (variant, ...rest) => {
  const own = variant === 'd' ? { bottleneckDim: 5 } : { groups: 2 };
  const dict = cpu({ dim: 4, numOutputTokens: 3, variant, ...own }).stateDict();
  expect(Object.entries(dict).map(([key, { shape }]) => [key, [...shape]])).toEqual([
    ['norm.weight', [4]],
    ['norm.bias', [4]],
    ...rest,
  ]);
});

describe('initialisation, as flax has it', () => {
  const spread = (values: ArrayLike<number>): number =>
    Math.sqrt(Array.from(values).reduce((sum, value) => sum + value * value, 0) / values.length);

  test('the norm is the identity, the MLP xavier_uniform with tiny biases', () => {
    manualSeed(5);
    const dict = cpu({ dim: 300, bottleneckDim: 100 }).stateDict() as Record<string, Tensor>;
    expect(dict['norm.weight']?.data.every((value) => value === 1)).toBe(true);
    expect(dict['norm.bias']?.data.every((value) => value === 0)).toBe(true);
    const weight = dict['mlp.0.weight']?.data ?? [];
    const bound = Math.sqrt(6 / 400);
    expect(Math.max(...weight)).toBeLessThanOrEqual(bound);
    expect(Math.min(...weight)).toBeGreaterThanOrEqual(-bound);
    // A uniform number's deviation, of 30,000 numbers.
    expect(Math.abs(spread(weight) / (bound / Math.sqrt(3)) - 1)).toBeLessThan(0.02);
    expect(spread(dict['mlp.0.bias']?.data ?? [])).toBeGreaterThan(5e-7);
    expect(spread(dict['mlp.0.bias']?.data ?? [])).toBeLessThan(2e-6);
  });

  test('the convolutions are lecun_normal: within two deviations', () => {
    manualSeed(6);
    const dict = cpu({ dim: 128, variant: 'b' }).stateDict() as Record<string, Tensor>;
    const weight = dict['attention.0.weight']?.data ?? [];
    const deviation = Math.sqrt(1 / 128);
    expect(Math.abs(spread(weight) / deviation - 1)).toBeLessThan(0.02);
    expect(Math.max(...weight)).toBeLessThanOrEqual((2 * deviation) / 0.8796256);
  });

  test('a seed gives the same parameters again', () => {
    manualSeed(7);
    const first = cpu({ dim: 8, variant: 'a' }).stateDict();
    manualSeed(7);
    expect(cpu({ dim: 8, variant: 'a' }).stateDict()).toEqual(first);
  });
});

describe('forward', () => {
  const model = cpu({ dim: 3, numOutputTokens: 2, bottleneckDim: 4 });

  test.each([
    [[3, 4, 5], {}, [3, 2], [2, 4, 5]],
    [[2, 6, 3, 4, 5], {}, [2, 6, 3, 2], [2, 6, 2, 4, 5]],
    [[0, 3, 4, 5], {}, [0, 3, 2], [0, 2, 4, 5]],
    [[20, 3], { inputLayout: 'channels-last' }, [3, 2], [2, 20]],
    [[7, 20, 3], { inputLayout: 'channels-last' }, [7, 3, 2], [7, 2, 20]],
    [[7, 4, 5, 3], { inputLayout: 'channels-last' }, [7, 3, 2], [7, 2, 4, 5]],
    [[7, 4, 5, 3], { inputLayout: 'channels-last', pixels: 'flat' }, [7, 4, 3, 2], [7, 4, 2, 5]],
    [[7, 20, 3], { inputLayout: 'channels-last', layout: 'tokens-first' }, [7, 2, 3], [7, 2, 20]],
  ] as const)('an input of shape %p with %p', async (shape, options, tokens, maps) => {
    const output = await model.forward(Tensor.randn(shape), { ...options, returnAttention: true });
    expect(output.tokens.shape).toEqual(tokens);
    expect(output.attention.shape).toEqual(maps);
    if (output.attention.data.length === 0) return;
    const pixels = maps.slice(tokens.length - 1).reduce((product, size) => product * size, 1);
    for (const sum of output.attention.reshape([-1, pixels]).sum(-1).data) expect(sum).toBeCloseTo(1, 5);
  });

  test('any strides give the same bits', () => {
    const x = Tensor.randn([2, 4, 5, 3]);
    const expected = model.forwardSync(x, { inputLayout: 'channels-last' });
    const view = x.permute([0, 3, 1, 2]);
    expect(model.forwardSync(view).data).toEqual(expected.data);
    const swapped = x.permute([2, 1, 0, 3]).contiguous().permute([2, 1, 0, 3]);
    expect(model.forwardSync(swapped, { inputLayout: 'channels-last' }).data).toEqual(expected.data);
  });

  test.each([
    [[4, 5], {}, 'at least 3 dimensions'],
    [[4, 4, 5], {}, 'Expected 3 channels, an input of shape (..., 3, H, W)'],
    [[3, 0, 5], {}, 'with at least one pixel'],
    [[3], { inputLayout: 'channels-last' }, '(..., P, 3), at least 2 dimensions'],
    [[5, 4], { inputLayout: 'channels-last' }, 'Expected 3 channels, an input of shape (..., P, 3)'],
    [[2, 5, 5, 4], { inputLayout: 'channels-last' }, 'an input of shape (..., H, W, 3)'],
    [[0, 3], { inputLayout: 'channels-last' }, 'with at least one pixel'],
  ] as const)('an input of shape %p with %p is refused', async (shape, options, message) => {
    expectThrow(() => model.forwardSync(Tensor.zeros(shape), options), 'ERR_SHAPE_MISMATCH', message);
    await expectReject(model.forward(Tensor.zeros(shape), options), 'ERR_SHAPE_MISMATCH', message);
  });

  test('options that do not apply are refused', () => {
    const x = Tensor.zeros([3, 2, 2]);
    expectThrow(() => model.forwardSync(x, { pixels: 'flat' }), 'ERR_INVALID_ARG_VALUE', 'inputLayout');
    // @ts-expect-error -- there is one value only
    expectThrow(() => model.forwardSync(x, { pixels: 'grid' }), 'ERR_INVALID_ARG_VALUE', "'flat'");
    // @ts-expect-error -- a number is no layout
    expectThrow(() => model.forwardSync(x, { inputLayout: 1 }), 'ERR_INVALID_ARG_TYPE', 'inputLayout');
  });

  test('in a Sequential, in other dtypes, and after a move', async () => {
    const x = Tensor.randn([2, 3, 4, 5]);
    const tokens = model.forwardSync(x, { layout: 'channels-first' });
    const inside = new Sequential(model, new Linear(2, 1, { device: 'cpu' }));
    expect(inside.outputShape([2, 3, 4, 5])).toEqual([2, 3, 1]);
    expect((await inside.forward(x)).shape).toEqual([2, 3, 1]);
    for (const dtype of ['float64', 'float16', 'bfloat16'] as const) {
      const other = cpu({ dim: 3, numOutputTokens: 2, bottleneckDim: 4, dtype });
      other.loadStateDict(model.stateDict());
      const got = other.forwardSync(x.to(dtype), { returnAttention: true });
      expect([got.tokens.dtype, got.attention.dtype]).toEqual([dtype, dtype]);
      got.tokens.to('float32').data.forEach((value, i) => {
        expect(Math.abs(value - (tokens.data[i] ?? NaN))).toBeLessThan(0.03);
      });
    }
  });

  test('a list of requests in progress gives the same results as each one alone', async () => {
    const inputs = Array.from({ length: 20 }, () => Tensor.randn([3, 14, 15]));
    const outputs = await Promise.all(inputs.map((x) => model.forward(x)));
    expect(outputs.map(({ data }) => data)).toEqual(inputs.map((x) => model.forwardSync(x).data));
  });
});

test.each([
  [{ dim: 0 }, 'ERR_OUT_OF_RANGE', 'options.dim'],
  [{}, 'ERR_INVALID_ARG_TYPE', 'options.dim'],
  [{ dim: 4, eps: -1 }, 'ERR_OUT_OF_RANGE', 'options.eps'],
  [{ dim: 4, variant: 'c' }, 'ERR_INVALID_ARG_VALUE', "'a', 'b', 'd'"],
  [{ dim: 4, approximate: 'erf' }, 'ERR_INVALID_ARG_VALUE', "'tanh', 'none'"],
  [{ dim: 4, engine: 'grouped-conv' }, 'ERR_INVALID_ARG_VALUE', "'libtorch'"],
  [{ dim: 4, allowTf32: 1 }, 'ERR_INVALID_ARG_TYPE', 'options.allowTf32'],
  [{ dim: 4, ffMult: 2 }, 'ERR_INVALID_ARG_VALUE', 'ffMult'],
  [{ dim: 4, groups: 2 }, 'ERR_INVALID_ARG_VALUE', "only 'a' and 'b' have it"],
  [{ dim: 8, variant: 'a', bottleneckDim: 2 }, 'ERR_INVALID_ARG_VALUE', "only 'd' has it"],
  [{ dim: 8, variant: 'a', approximate: 'tanh' }, 'ERR_INVALID_ARG_VALUE', "only 'b' and 'd' have it"],
  [{ dim: 12, variant: 'a' }, 'ERR_OUT_OF_RANGE', 'a divisor of dim 12'],
  [{ dim: 12, variant: 'b', groups: 5 }, 'ERR_OUT_OF_RANGE', 'a divisor of dim 12'],
] as const)('%p is refused', (options, code, message) => {
  expectThrow(() => cpu(options as unknown as TokenLearnerV11Options), code, message);
});

describe('fromStateDict', () => {
  const model = cpu({ dim: 6, numOutputTokens: 2, bottleneckDim: 5, dtype: 'float64' });
  const x = Tensor.randn([6, 3, 4], { dtype: 'float64' });
  const own = model.stateDict();
  const transposed = (key: string): Tensor<'float64'> =>
    (own[key] as Tensor<'float64'>).transpose(0, 1).contiguous();
  const flax = (prefix: string): Record<string, Tensor<'float64'>> => ({
    [`${prefix}LayerNorm_0/scale`]: own['norm.weight'] as Tensor<'float64'>,
    [`${prefix}LayerNorm_0/bias`]: own['norm.bias'] as Tensor<'float64'>,
    [`${prefix}token_masking/Dense_0/kernel`]: transposed('mlp.0.weight'),
    [`${prefix}token_masking/Dense_0/bias`]: own['mlp.0.bias'] as Tensor<'float64'>,
    [`${prefix}token_masking/Dense_1/kernel`]: transposed('mlp.2.weight'),
    [`${prefix}token_masking/Dense_1/bias`]: own['mlp.2.bias'] as Tensor<'float64'>,
  });
  const device = 'cpu';

  test.each([
    ['its own names', own],
    ['a Map of them', new Map(Object.entries(own))],
    ['flax’s', flax('params/')],
    ['flax’s in RT-1-X', flax('params/image_tokenizer/TokenLearnerModuleV11_0/')],
  ])('%s', (_, dict) => {
    const read = TokenLearnerV11.fromStateDict(dict, { device });
    expect(read).toMatchObject({
      dim: 6,
      numOutputTokens: 2,
      bottleneckDim: 5,
      variant: 'd',
      dtype: 'float64',
    });
    expect(read.forwardSync(x as never)).toEqual(model.forwardSync(x));
  });

  test('several prefixes need `prefix`', () => {
    const dict = { ...flax('a/'), ...flax('b/') };
    expectThrow(() => TokenLearnerV11.fromStateDict(dict, { device }), 'ERR_STATE_DICT', '`prefix`');
    expect(TokenLearnerV11.fromStateDict(dict, { device, prefix: 'b/' }).dim).toBe(6);
  });

  test('convolutions whose names do not tell the variant need `variant`', () => {
    const early = cpu({ dim: 1032, numOutputTokens: 2, variant: 'b', groups: 8 }).stateDict();
    const dict = {
      'LayerNorm_0/scale': early['norm.weight'],
      'LayerNorm_0/bias': early['norm.bias'],
      'Conv_0/kernel': early['attention.0.weight']?.permute([2, 3, 1, 0]).contiguous(),
      'Conv_1/kernel': early['attention.2.weight']?.permute([2, 3, 1, 0]).contiguous(),
      'Conv_2/kernel': early['value.weight']?.permute([2, 3, 1, 0]).contiguous(),
    } as Record<string, Tensor>;
    expectThrow(() => TokenLearnerV11.fromStateDict(dict, { device }), 'ERR_STATE_DICT', '`variant`');
    const read = TokenLearnerV11.fromStateDict(dict, { device, variant: 'b' });
    expect(read).toMatchObject({ variant: 'b', groups: 8 });
    for (const [key, tensor] of Object.entries(read.stateDict()))
      expect((early[key] as Tensor).equals(tensor as Tensor)).toBe(true);
  });

  test('other weights are refused', () => {
    expectThrow(() => TokenLearnerV11.fromStateDict({}, { device }), 'ERR_STATE_DICT', 'empty');
    const linear = new Linear(2, 2, { device });
    expectThrow(
      () => TokenLearnerV11.fromStateDict(linear.stateDict(), { device }),
      'ERR_STATE_DICT',
      'weight',
    );
    expectThrow(
      () => TokenLearnerV11.fromStateDict({ a: 1 } as never, { device }),
      'ERR_INVALID_ARG_TYPE',
      'dict["a"]',
    );
    for (const fake of [undefined, {}, Linear]) {
      const call = (): unknown => methodOf(TokenLearnerV11, 'fromStateDict').call(fake, own);
      expectThrow(call, 'ERR_INVALID_THIS', 'to be TokenLearnerV11 or a subclass');
    }
  });
});
