/** TokenLearner v1.1 against the official equations in PyTorch: test/fixtures/generate/family_reference.py. */
import { TokenLearnerV11, type AnyTensor, type FloatDType, type Tensor } from '../../lib';
import { channelsLast } from './channels-last';
import { loadTensors, makeTensors, numbers, readJson, type MadeTensor } from './fixtures';
import { expectFixture, expectSameBits } from './matchers';
import { relativeL2Error } from './tolerance';

interface Case {
  name: string;
  module: string;
  dtype: FloatDType;
  options: { dim: number; variant?: 'a' | 'b'; approximate?: 'tanh' | 'none' };
  seed: number;
  tensors: MadeTensor[];
  offset?: number;
  /** The error of the official float32 arithmetic, relative to the tokens without the offset. */
  officialError?: number;
}

const ENGINES = ['auto', 'fused', 'libtorch'] as const;
const { cases } = readJson('family/cases.json') as { cases: Case[] };
const learners = cases.filter(({ module }) => module === 'TokenLearnerV11');

function build(
  { dtype, options, seed, tensors }: Case,
  engine: (typeof ENGINES)[number],
): { model: TokenLearnerV11; x: Tensor<FloatDType>; parameters: Record<string, AnyTensor> } {
  const { input, ...parameters } = makeTensors(seed, tensors, dtype);
  if (input === undefined) throw new Error('A case has no input');
  const model = new TokenLearnerV11({ ...options, dtype, engine, device: 'cpu' });
  model.loadStateDict(parameters);
  return { model, x: input.to(dtype), parameters };
}

describe.each(ENGINES)('engine %s', (engine) => {
  test.each(learners)('$name: tokens and maps within the rule', async (item) => {
    const { model, x } = build(item, engine);
    const { tokens, attention } = await model.forward(x, { returnAttention: true });
    await expectFixture(`family/${item.name}.safetensors`, { tokens, attention }, engine !== 'libtorch');
    expectSameBits(model.forwardSync(x), tokens);
    expectSameBits(model.forwardSync(x, { returnAttention: true }).attention, attention);
  });
});

test.each(learners)('$name: the same bits in every layout', (item) => {
  const { model, x } = build(item, 'fused');
  const { tokens, attention } = model.forwardSync(x, { returnAttention: true });
  const last = channelsLast(x);
  const grid = { inputLayout: 'channels-last', returnAttention: true } as const;
  const [height = 1, width = 1, dim = 1] = last.shape.slice(-3);
  const flat = last.reshape([...last.shape.slice(0, -3), height * width, dim]);
  const ours = model.forwardSync(flat, { ...grid, pixels: 'flat' });
  expectSameBits(ours.tokens, tokens);
  expectSameBits(ours.attention.reshape(attention.shape), attention);
  // An input of rank 3 is flat pixels.
  const image = last.ndim === 3 ? last.reshape([1, ...last.shape]) : last;
  const gridded = model.forwardSync(image, grid);
  expectSameBits(gridded.tokens.reshape(tokens.shape), tokens);
  expectSameBits(gridded.attention.reshape(attention.shape), attention);
  const tokensFirst = model.forwardSync(x, { layout: 'tokens-first' });
  expectSameBits(tokensFirst.transpose(-1, -2).contiguous(), tokens);
});

test.each(learners.filter(({ officialError }) => officialError !== undefined))(
  '$name: at most a tenth of the official error',
  async (item) => {
    const { model, x } = build(item, 'fused');
    const [exact = x] = await loadTensors(`family/${item.name}.safetensors`, 'tokens');
    const without = (tensor: AnyTensor): Float64Array =>
      numbers(tensor).map((value) => value - (item.offset ?? 0));
    const error = relativeL2Error(without(model.forwardSync(x)), without(exact));
    expect(error).toBeLessThanOrEqual((item.officialError ?? 0) / 10);
  },
);

test('one pixel is the token, exactly', () => {
  const [item] = learners.filter(({ name }) => name === 'v11-p1');
  if (item === undefined) throw new Error('There is no case v11-p1');
  const { model, x } = build(item, 'fused');
  const tokens = model.forwardSync(x, { layout: 'tokens-first' });
  for (let g = 0; g < 8; g++) {
    const token = tokens
      .permute([1, 0, 2])
      .contiguous()
      .data.slice(g * 48, (g + 1) * 48);
    expect(token).toEqual(x.contiguous().data);
  }
});

test('fromStateDict finds each variant by its names, and gives the same numbers', () => {
  for (const item of learners.filter(
    ({ dtype, options }) => dtype === 'float32' && options.variant !== undefined,
  )) {
    const { model, x, parameters } = build(item, 'fused');
    const { variant, approximate } = item.options;
    const read = TokenLearnerV11.fromStateDict(
      parameters,
      variant === 'b' && approximate !== undefined ? { approximate, device: 'cpu' } : { device: 'cpu' },
    );
    expect(read.variant).toBe(variant);
    expectSameBits(read.forwardSync(x), model.forwardSync(x));
  }
});
