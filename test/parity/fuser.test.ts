/** TokenFuser against the official equations in PyTorch: test/fixtures/generate/family_reference.py. */
import { TokenFuser, type AnyTensor, type FloatDType, type Tensor, type TokenFuserOptions } from '../../lib';
import { channelsLast } from './channels-last';
import { loadTensors, makeTensors, readJson, type MadeTensor } from './fixtures';
import { expectParity, expectSameBits } from './matchers';

interface Case {
  name: string;
  module: string;
  dtype: FloatDType;
  options: TokenFuserOptions;
  seed: number;
  tensors: MadeTensor[];
}

const ENGINES = ['auto', 'fused', 'libtorch'] as const;
const { cases } = readJson('family/cases.json') as { cases: Case[] };
const fusers = cases.filter(({ module }) => module === 'TokenFuser');

interface Built {
  model: TokenFuser;
  tokens: Tensor<FloatDType>;
  original: Tensor<FloatDType>;
  parameters: Record<string, AnyTensor>;
}

function build({ dtype, options, seed, tensors }: Case, engine: (typeof ENGINES)[number]): Built {
  const { tokens, input, ...parameters } = makeTensors(seed, tensors, dtype);
  if (tokens === undefined || input === undefined) throw new Error('A case has no inputs');
  const model = new TokenFuser({ ...options, dtype, engine, device: 'cpu' });
  model.loadStateDict(parameters);
  return { model, tokens: tokens.to(dtype), original: input.to(dtype), parameters };
}

test('the fixtures have cases', () => {
  expect(fusers.length).toBeGreaterThan(9);
});

describe.each(ENGINES)('engine %s', (engine) => {
  test.each(fusers)('$name: within the rule', async (item) => {
    const { model, tokens, original } = build(item, engine);
    const output = await model.forward(tokens, original);
    const [exact, torch] = (await loadTensors(
      `family/${item.name}.safetensors`,
      'output',
      'pytorch.output',
    )) as [AnyTensor, AnyTensor];
    expectParity(output, exact, torch, engine !== 'libtorch');
    expect(output.shape).toEqual(original.shape);
    expectSameBits(model.forwardSync(tokens, original), output);
  });
});

test.each(fusers)('$name: maps within the rule', (item) => {
  const maps = (engine: 'fused' | 'libtorch', dtype: FloatDType): AnyTensor => {
    const { model, tokens, original } = build(item, engine);
    const how = { returnAttention: true } as const;
    return model.to(dtype).forwardSync(tokens.to(dtype), original.to(dtype), how).attention;
  };
  const exact = maps('libtorch', 'float64');
  expectParity(maps('fused', item.dtype), exact, maps('libtorch', item.dtype), false);
});

test.each(fusers)('$name: the same bits in every layout', (item) => {
  const { model, tokens, original } = build(item, 'fused');
  const { output, attention } = model.forwardSync(tokens, original, { returnAttention: true });
  const last = channelsLast(original);
  const expected = channelsLast(output);
  const grid = { inputLayout: 'channels-last', returnAttention: true } as const;
  const [height = 1, width = 1, dim = 1] = last.shape.slice(-3);
  const flat = last.reshape([...last.shape.slice(0, -3), height * width, dim]);
  const ours = model.forwardSync(tokens, flat, { ...grid, pixels: 'flat' });
  expect(ours.output.shape).toEqual(flat.shape);
  expectSameBits(ours.output.reshape(expected.shape), expected);
  expectSameBits(ours.attention.reshape(attention.shape), attention);
  // An original of rank 3 is flat pixels.
  const isImage = last.ndim === 3;
  const gridded = model.forwardSync(
    isImage ? tokens.reshape([1, ...tokens.shape]) : tokens,
    isImage ? last.reshape([1, ...last.shape]) : last,
    grid,
  );
  expectSameBits(gridded.output.reshape(expected.shape), expected);
  expectSameBits(gridded.attention.reshape(attention.shape), attention);
  for (const first of [tokens.transpose(-1, -2), tokens.transpose(-1, -2).contiguous()])
    expectSameBits(model.forwardSync(first, original, { layout: 'tokens-first' }), output);
});

test('fromStateDict finds the options, under flax’s names too', () => {
  for (const item of fusers.filter(({ dtype }) => dtype === 'float32')) {
    const { model, tokens, original, parameters } = build(item, 'fused');
    const { approximate = 'tanh', useNormalization = true, numTokens = 8, bottleneckDim = 64 } = item.options;
    const get = (name: string): AnyTensor => {
      const tensor = parameters[name];
      if (tensor === undefined) throw new Error(`A case has no ${name}`);
      return tensor;
    };
    const kernel = (name: string): AnyTensor => get(name).transpose(0, 1).contiguous();
    const flax: Record<string, AnyTensor> = {
      'x/Dense_0/kernel': kernel('mix.weight'),
      'x/Dense_0/bias': get('mix.bias'),
      'x/LayerNorm_0/scale': get('norm.weight'),
      'x/LayerNorm_0/bias': get('norm.bias'),
      'x/token_masking/Dense_0/kernel': kernel('mlp.0.weight'),
      'x/token_masking/Dense_0/bias': get('mlp.0.bias'),
      'x/token_masking/Dense_1/kernel': kernel('mlp.2.weight'),
      'x/token_masking/Dense_1/bias': get('mlp.2.bias'),
      ...(useNormalization && {
        'x/fuser_mix_norm1/scale': get('norm1.weight'),
        'x/fuser_mix_norm1/bias': get('norm1.bias'),
        'x/fuser_mix_norm2/scale': get('norm2.weight'),
        'x/fuser_mix_norm2/bias': get('norm2.bias'),
      }),
    };
    for (const dict of [parameters, flax]) {
      const read = TokenFuser.fromStateDict(dict, { approximate, device: 'cpu' });
      expect(read).toMatchObject({ useNormalization, numTokens, bottleneckDim });
      expectSameBits(read.forwardSync(tokens, original), model.forwardSync(tokens, original));
    }
  }
});
