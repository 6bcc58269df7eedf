import { TokenLearner, type AnyTensor, type FloatDType, type Tensor } from '../../lib';
import { loadTensors, makeTensors, readJson, type MadeTensor } from './fixtures';
import { expectParity, expectSameBits } from './matchers';

interface Case {
  name: string;
  dtype: 'float32' | 'float64' | 'float16' | 'bfloat16';
  dim: number;
  ffMult: number;
  numOutputTokens: number;
  numLayers: number;
  seed: number;
  /** The stored input is (..., H, W, C): its view as (..., C, H, W) is not contiguous. */
  channelsLast: boolean;
  special: { index: number; value: string }[];
  tensors: MadeTensor[];
}

const ENGINES = ['auto', 'fused', 'grouped-conv'] as const;
type Engine = (typeof ENGINES)[number];

const { cases } = readJson('parity/cases.json') as { cases: Case[] };

function moveChannelsFirst(x: AnyTensor): AnyTensor {
  const axes = x.shape.map((_, axis) => axis);
  return x.permute([...axes.slice(0, -3), x.ndim - 1, x.ndim - 3, x.ndim - 2]);
}

/** The case's layer, with its weights, and its input. */
function build(engine: Engine, item: Case): { model: TokenLearner; x: Tensor<FloatDType> } {
  const { dim, ffMult, numOutputTokens, numLayers, dtype } = item;
  const state = makeTensors(item.seed, item.tensors, dtype);
  const { input, ...parameters } = state;
  if (input === undefined) throw new Error(`${item.name} has no input`);
  for (const { index, value } of item.special) input.data[index] = Number(value);
  const model = new TokenLearner({ dim, ffMult, numOutputTokens, numLayers, dtype, engine, device: 'cpu' });
  model.loadStateDict(parameters);
  return { model, x: (item.channelsLast ? moveChannelsFirst(input) : input).to(model.dtype) };
}

describe.each(ENGINES)('engine %s', (engine) => {
  test.each(cases)('$name: tokens and maps within the rule', async (item) => {
    const { model, x } = build(engine, item);
    const { tokens, attention } = await model.forward(x, { returnAttention: true });
    const [exactTokens, exactMaps, torchTokens, torchMaps] = (await loadTensors(
      `parity/${item.name}.safetensors`,
      'tokens',
      'attention',
      'pytorch.tokens',
      'pytorch.attention',
    )) as [AnyTensor, AnyTensor, AnyTensor, AnyTensor];
    expectParity(tokens, exactTokens, torchTokens);
    expectParity(attention, exactMaps, torchMaps);
  });

  test.each(cases)('$name: the same bits however it is asked for', async (item) => {
    const { model, x } = build(engine, item);
    const { tokens, attention } = await model.forward(x, { returnAttention: true });
    expectSameBits(await model.forward(x), tokens);
    expectSameBits(model.forwardSync(x), tokens);
    expectSameBits(model.forwardSync(x.contiguous()), tokens);
    expectSameBits(model.forwardSync(x, { returnAttention: true }).attention, attention);
    const last = x.shape.map((_, axis) => axis).slice(0, -3);
    const tokensFirst = model.forwardSync(x, { layout: 'tokens-first' });
    expectSameBits(tokensFirst.permute([...last, x.ndim - 2, x.ndim - 3]).contiguous(), tokens);
  });
});
