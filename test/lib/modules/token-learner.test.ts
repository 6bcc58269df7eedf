import { manualSeed, Tensor, TokenLearner, type TokenLearnerOptions } from '../../../lib';
import { expectReject, expectThrow } from '../formats/support';

const cpu = (options: Omit<TokenLearnerOptions, 'device'>): TokenLearner =>
  new TokenLearner({ ...options, device: 'cpu' });

describe('the documented usage examples', () => {
  test('basic usage', async () => {
    const tokens = await new TokenLearner({ dim: 64 }).forward(Tensor.randn([1, 64, 32, 32]));
    expect(tokens.shape).toEqual([1, 64, 8]);
  });

  test('custom parameters', async () => {
    const model = new TokenLearner({ dim: 128, ffMult: 4, numOutputTokens: 16 });
    const tokens = await model.forward(Tensor.randn([2, 128, 64, 64]));
    expect(tokens.shape).toEqual([2, 128, 16]);
  });
});

test('defaults', () => {
  expect(cpu({ dim: 64 })).toMatchObject({
    dim: 64,
    ffMult: 2,
    numOutputTokens: 8,
    numLayers: 2,
    dtype: 'float32',
    device: 'cpu',
  });
});

test('reads like PyTorch’s', () => {
  expect(String(cpu({ dim: 64 }))).toBe(
    `TokenLearner(
  (net): Sequential(
    (0): Conv2d(512, 1024, kernel_size=(1, 1), stride=(1, 1), groups=8)
    (1): GELU(approximate='none')
    (2): Conv2d(1024, 8, kernel_size=(1, 1), stride=(1, 1), groups=8)
  )
)`,
  );
  expect(String(cpu({ dim: 4, numOutputTokens: 1, numLayers: 1 }))).toBe(
    `TokenLearner(
  (net): Sequential(
    (0): Conv2d(4, 1, kernel_size=(1, 1), stride=(1, 1))
  )
)`,
  );
});

test.each([
  [1, ['net.0.weight', [3, 2, 1, 1]], ['net.0.bias', [3]]],
  [
    3,
    ['net.0.weight', [12, 2, 1, 1]],
    ['net.0.bias', [12]],
    ['net.2.weight', [12, 4, 1, 1]],
    ['net.2.bias', [12]],
    ['net.4.weight', [3, 4, 1, 1]],
    ['net.4.bias', [3]],
  ],
])('parameters of %d layers', (numLayers, ...expected) => {
  const dict = cpu({ dim: 2, numOutputTokens: 3, numLayers }).stateDict();
  expect(Object.entries(dict).map(([key, { shape }]) => [key, [...shape]])).toEqual(expected);
});

test('computes the documented formula', () => {
  const [dim, groups, pixels] = [3, 2, 4];
  const model = cpu({ dim, ffMult: 1, numOutputTokens: groups, dtype: 'float64' });
  const [w1, b1, w2, b2] = model.parameters().map((tensor) => tensor.data as Float64Array) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const x = Tensor.randn([dim, 2, 2], { dtype: 'float64' });
  const at = (array: Float64Array, i: number): number => array[i] ?? NaN;
  // The Taylor series of erf, which is exact up to rounding for the small arguments here.
  const erf = (z: number): number => {
    let term = z;
    let sum = z;
    for (let n = 1; n < 60; n++) {
      term *= (-z * z) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  };
  const gelu = (v: number): number => (v / 2) * (1 + erf(v / Math.SQRT2));
  const map = (g: number, p: number): number => {
    let a = at(b2, g);
    for (let k = 0; k < dim; k++) {
      const row = g * dim + k;
      let h = at(b1, row);
      for (let c = 0; c < dim; c++) h += at(w1, row * dim + c) * at(x.data, c * pixels + p);
      a += at(w2, row) * gelu(h);
    }
    return a;
  };
  const { tokens, attention } = model.forwardSync(x, { returnAttention: true });
  const maps = Array.from({ length: groups * pixels }, (_, i) => map(Math.floor(i / pixels), i % pixels));
  const pooled = Array.from({ length: dim * groups }, (_, i) => {
    const [c, g] = [Math.floor(i / groups), i % groups];
    let sum = 0;
    for (let p = 0; p < pixels; p++) sum += at(x.data, c * pixels + p) * (maps[g * pixels + p] ?? NaN);
    return sum / pixels;
  });
  // Dozens of roundings of numbers below 10.
  const tolerance = 10 * 100 * Number.EPSILON;
  maps.forEach((value, i) => {
    expect(Math.abs(at(attention.data, i) - value)).toBeLessThan(tolerance);
  });
  pooled.forEach((value, i) => {
    expect(Math.abs(at(tokens.data, i) - value)).toBeLessThan(tolerance);
  });
});

describe('forward', () => {
  const model = cpu({ dim: 3, numOutputTokens: 2 });

  test.each([
    [
      [3, 4, 5],
      [3, 2],
      [2, 4, 5],
    ],
    [
      [2, 3, 4, 5],
      [2, 3, 2],
      [2, 2, 4, 5],
    ],
    [
      [2, 6, 3, 4, 5],
      [2, 6, 3, 2],
      [2, 6, 2, 4, 5],
    ],
    [
      [0, 3, 4, 5],
      [0, 3, 2],
      [0, 2, 4, 5],
    ],
    [
      [2, 0, 3, 1, 1],
      [2, 0, 3, 2],
      [2, 0, 2, 1, 1],
    ],
  ])('an input of shape %p gives tokens %p and maps %p', async (input, tokens, attention) => {
    const output = await model.forward(Tensor.randn(input), { returnAttention: true });
    expect(output.tokens.shape).toEqual(tokens);
    expect(output.attention.shape).toEqual(attention);
  });

  test('leading dimensions are a batch of single inputs', () => {
    const x = Tensor.randn([2, 2, 3, 4, 5]);
    const all = model.forwardSync(x).data;
    const size = 3 * 4 * 5;
    for (let i = 0; i < 4; i++) {
      const one = Tensor.from(x.data.subarray(i * size, (i + 1) * size), [3, 4, 5]);
      expect(model.forwardSync(one).data).toEqual(all.subarray(i * 6, (i + 1) * 6));
    }
  });

  test('tokens-first swaps the last two dimensions', async () => {
    const x = Tensor.randn([2, 3, 4, 5]);
    const swapped = await model.forward(x, { layout: 'tokens-first' });
    expect(swapped.shape).toEqual([2, 2, 3]);
    expect(swapped.transpose(1, 2).contiguous().data).toEqual(model.forwardSync(x).data);
  });

  test('channels-last reads (..., H, W, C)', async () => {
    const x = Tensor.randn([2, 4, 5, 3]);
    const expected = model.forwardSync(x.permute([0, 3, 1, 2]).contiguous(), { returnAttention: true });
    const options = { inputLayout: 'channels-last', returnAttention: true } as const;
    const { tokens, attention } = await model.forward(x, options);
    expect(tokens).toEqual(expected.tokens);
    expect(attention).toEqual(expected.attention);
    const message = 'Expected 3 channels, an input of shape (..., H, W, 3)';
    expectThrow(() => model.forwardSync(Tensor.zeros([3, 4, 5]), options), 'ERR_SHAPE_MISMATCH', message);
    // @ts-expect-error -- flat pixels are for the others of the family
    expectThrow(() => model.forwardSync(x, { pixels: 'flat' }), 'ERR_INVALID_ARG_VALUE', 'pixels');
  });

  test('concurrent forwards give the same results as each one alone', async () => {
    const inputs = Array.from({ length: 20 }, () => Tensor.randn([3, 4, 5]));
    const outputs = await Promise.all(inputs.map((x) => model.forward(x)));
    const alone = inputs.map((x) => model.forwardSync(x));
    expect(outputs.map(({ data }) => data)).toEqual(alone.map(({ data }) => data));
  });

  test('the caller’s memory is copied during the call of forward', async () => {
    const array = new Float32Array(Tensor.randn([60]).data);
    const x = Tensor.from(array, [3, 4, 5]);
    const expected = model.forwardSync(x).data;
    const running = model.forward(x);
    array.fill(0);
    expect((await running).data).toEqual(expected);
  });

  test('NaN and infinity in the input reach the output', () => {
    const x = Tensor.zeros([3, 2, 2]);
    x.data[0] = NaN;
    expect(model.forwardSync(x).data.every(Number.isNaN)).toBe(true);
    x.data[0] = Infinity;
    expect(model.forwardSync(x).data.some((value) => !Number.isFinite(value))).toBe(true);
  });

  test('the types follow the options and the input', async () => {
    const x = Tensor.zeros([3, 1, 1]);
    const tokens: Tensor = await model.forward(x);
    const { attention }: { attention: Tensor } = model.forwardSync(x, { returnAttention: true });
    const either = model.forwardSync(x, { returnAttention: Math.random() < 2 });
    expect([tokens.shape, attention.shape]).toEqual([
      [3, 2],
      [2, 1, 1],
    ]);
    expect('tokens' in either).toBe(true);
    const integers = Tensor.zeros([3, 1, 1], { dtype: 'int32' });
    // @ts-expect-error -- integers are not an input
    expectThrow(() => model.forwardSync(integers), 'ERR_DTYPE_MISMATCH', 'int32');
  });

  test.each([
    [[4, 5], 'at least 3 dimensions, but received (4, 5)'],
    [[], 'at least 3 dimensions, but received ()'],
    [
      [2, 4, 4, 4],
      'Expected 3 channels, an input of shape (..., 3, H, W), but received 4 channels in (2, 4, 4, 4)',
    ],
    [[3, 0, 4], 'with at least one pixel but received (3, 0, 4)'],
    [[3, 4, 0], 'with at least one pixel but received (3, 4, 0)'],
  ])('an input of shape %p is refused', async (shape, message) => {
    expectThrow(() => model.forwardSync(Tensor.zeros(shape)), 'ERR_SHAPE_MISMATCH', message);
    await expectReject(model.forward(Tensor.zeros(shape)), 'ERR_SHAPE_MISMATCH', message);
  });

  test.each([
    [{ layout: 'tokens' }, 'ERR_INVALID_ARG_VALUE', '`options.layout`'],
    [{ returnAttention: 1 }, 'ERR_INVALID_ARG_TYPE', '`options.returnAttention`'],
    [{ attention: true }, 'ERR_INVALID_ARG_VALUE', "'attention'"],
    [true, 'ERR_INVALID_ARG_TYPE', '`options`'],
  ] as const)('options %p are refused', async (options, code, message) => {
    const x = Tensor.zeros([3, 1, 1]);
    expectThrow(() => model.forwardSync(x, options as never), code, message);
    await expectReject(model.forward(x, options as never), code, message);
  });
});

describe('the constructor', () => {
  test.each([
    [
      undefined,
      'ERR_INVALID_ARG_TYPE',
      'Expected a positive integer for `options.dim` but received undefined',
    ],
    [{}, 'ERR_INVALID_ARG_TYPE', '`options.dim`'],
    [64, 'ERR_INVALID_ARG_TYPE', 'Expected a plain object for `options`'],
    [{ dim: 0 }, 'ERR_OUT_OF_RANGE', '`options.dim` but received 0'],
    [{ dim: -1 }, 'ERR_OUT_OF_RANGE', '`options.dim`'],
    [{ dim: 1.5 }, 'ERR_OUT_OF_RANGE', '`options.dim`'],
    [{ dim: NaN }, 'ERR_OUT_OF_RANGE', '`options.dim`'],
    [{ dim: 2 ** 53 }, 'ERR_OUT_OF_RANGE', '`options.dim`'],
    [{ dim: 2 ** 40 }, 'ERR_OUT_OF_RANGE', 'too many elements'],
    [{ dim: 2 ** 20, ffMult: 2 ** 4 }, 'ERR_OUT_OF_MEMORY', /./],
    [{ dim: '64' }, 'ERR_INVALID_ARG_TYPE', '`options.dim`'],
    [{ dim: 4, ffMult: 0 }, 'ERR_OUT_OF_RANGE', '`options.ffMult`'],
    [{ dim: 4, numOutputTokens: 0 }, 'ERR_OUT_OF_RANGE', '`options.numOutputTokens`'],
    [{ dim: 4, numLayers: 0 }, 'ERR_OUT_OF_RANGE', '`options.numLayers`'],
    [{ dim: 4, numLayers: 2 ** 31 }, 'ERR_OUT_OF_RANGE', '`options.numLayers`'],
    [{ dim: 4, intraOpThreads: -1 }, 'ERR_OUT_OF_RANGE', '`options.intraOpThreads`'],
    [{ dim: 4, allowTf32: 1 }, 'ERR_INVALID_ARG_TYPE', '`options.allowTf32`'],
    [{ dim: 4, engine: 'fast' }, 'ERR_INVALID_ARG_VALUE', "one of 'auto', 'fused', 'grouped-conv'"],
    [{ dim: 4, dtype: 'int32' }, 'ERR_INVALID_ARG_VALUE', '`options.dtype`'],
    [{ dim: 4, device: 'gpu' }, 'ERR_INVALID_ARG_VALUE', '`options.device`'],
    [{ dim: 4, numTokens: 8 }, 'ERR_INVALID_ARG_VALUE', "'numTokens'"],
  ] as const)('refuses %p', (options, code, message) => {
    expectThrow(() => new TokenLearner(options as never), code, message);
  });

  test('draws in float32 and converts', () => {
    manualSeed(3);
    const single = cpu({ dim: 2 }).parameters();
    manualSeed(3);
    const wide = cpu({ dim: 2, dtype: 'float64' }).parameters();
    expect(wide.map(({ data }) => Array.from(data as Float64Array))).toEqual(
      single.map(({ data }) => Array.from(data as Float32Array)),
    );
  });
});

describe('fromStateDict', () => {
  test.each([
    { dim: 3, ffMult: 3, numOutputTokens: 5, numLayers: 2 },
    { dim: 3, ffMult: 1, numOutputTokens: 1, numLayers: 1 },
    { dim: 2, ffMult: 2, numOutputTokens: 3, numLayers: 4 },
  ])('infers %p from the shapes', (config) => {
    const model = cpu(config);
    const twin = TokenLearner.fromStateDict(model.stateDict(), { device: 'cpu' });
    expect(twin).toMatchObject(config);
    const x = Tensor.randn([config.dim, 2, 2]);
    expect(twin.forwardSync(x).data).toEqual(model.forwardSync(x).data);
  });

  test('keeps the dtype of the weights by default', () => {
    const dict = cpu({ dim: 2, dtype: 'float64' }).stateDict();
    expect(TokenLearner.fromStateDict(dict, { device: 'cpu' }).dtype).toBe('float64');
    expect(TokenLearner.fromStateDict(dict, { device: 'cpu', dtype: 'float32' }).dtype).toBe('float32');
  });

  test.each([
    [null, 'ERR_INVALID_ARG_TYPE'],
    [{}, 'ERR_STATE_DICT'],
    [{ weight: Tensor.zeros([1]) }, 'ERR_STATE_DICT'],
    [{ 'net.0.weight': Tensor.zeros([3]) }, 'ERR_STATE_DICT'],
    [{ 'net.0.weight': Tensor.zeros([0, 0, 1, 1]) }, 'ERR_STATE_DICT'],
    [{ 'net.0.weight': Tensor.zeros([4, 2, 1, 1]) }, 'ERR_STATE_DICT'],
    [{ 'net.0.weight': Tensor.zeros([4, 2, 1, 1], { dtype: 'int32' }) }, 'ERR_DTYPE_MISMATCH'],
    [{ 'net.0.weight': 3 }, 'ERR_INVALID_ARG_TYPE'],
  ] as const)('refuses %p', (dict, code) => {
    expectThrow(() => TokenLearner.fromStateDict(dict as never, { device: 'cpu' }), code, /./);
  });
});
