/** TokenLearner v1.0 against the official equations in PyTorch: test/fixtures/generate/family_reference.py. */
import {
  TokenLearnerV10,
  type AnyTensor,
  type FloatDType,
  type Tensor,
  type TokenLearnerV10Options,
} from '../../lib';
import { channelsLast } from './channels-last';
import { makeTensors, readJson, type MadeTensor } from './fixtures';
import { expectFixture, expectSameBits } from './matchers';

interface Case {
  name: string;
  module: string;
  dtype: FloatDType;
  options: TokenLearnerV10Options;
  seed: number;
  tensors: MadeTensor[];
}

const ENGINES = ['auto', 'fused', 'libtorch'] as const;
const { cases } = readJson('family/cases.json') as { cases: Case[] };
const learners = cases.filter(({ module }) => module === 'TokenLearnerV10');

interface Built {
  model: TokenLearnerV10;
  x: Tensor<FloatDType>;
  parameters: Record<string, AnyTensor>;
}

function build({ dtype, options, seed, tensors }: Case, engine: (typeof ENGINES)[number]): Built {
  const { input, ...parameters } = makeTensors(seed, tensors, dtype);
  if (input === undefined) throw new Error('A case has no input');
  const model = new TokenLearnerV10({ ...options, dtype, engine, device: 'cpu' });
  model.loadStateDict(parameters);
  return { model, x: input.to(dtype), parameters };
}

test('the fixtures have cases', () => {
  expect(learners.length).toBeGreaterThan(9);
});

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
  const last = model.forwardSync(channelsLast(x), { inputLayout: 'channels-last', returnAttention: true });
  expectSameBits(last.tokens, tokens);
  expectSameBits(last.attention, attention);
  const first = model.forwardSync(x, { layout: 'tokens-first' });
  expectSameBits(first.transpose(-1, -2).contiguous(), tokens);
});

test('fromStateDict reads this package’s names and flax’s', () => {
  for (const item of learners.filter(({ dtype }) => dtype === 'float32')) {
    const { model, x, parameters } = build(item, 'fused');
    const { approximate = 'tanh', pooling = 'sum' } = item.options;
    const flax = Object.fromEntries(
      Object.entries(parameters).map(([name, tensor]): [string, AnyTensor] => {
        const [, number] = /^attention\.(\d)/.exec(name) ?? [];
        if (number === undefined)
          return [`x/LayerNorm_0/${name === 'norm.weight' ? 'scale' : 'bias'}`, tensor];
        return [`x/Conv_${Number(number) / 2}/kernel`, tensor.permute([2, 3, 1, 0]).contiguous()];
      }),
    );
    for (const dict of [parameters, flax]) {
      const read = TokenLearnerV10.fromStateDict(dict, { approximate, pooling, device: 'cpu' });
      expectSameBits(read.forwardSync(x), model.forwardSync(x));
    }
  }
});
