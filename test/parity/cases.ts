/** The parity cases of TokenLearner: test/fixtures/parity/cases.json. */
import { TokenLearner, type AnyTensor, type Engine, type FloatDType, type Tensor } from '../../lib';
import { makeTensors, readJson, type MadeTensor } from './fixtures';

export interface Case {
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

export const { cases } = readJson('parity/cases.json') as { cases: Case[] };

function moveChannelsFirst(x: AnyTensor): AnyTensor {
  const axes = x.shape.map((_, axis) => axis);
  return x.permute([...axes.slice(0, -3), x.ndim - 1, x.ndim - 3, x.ndim - 2]);
}

/** The case's layer, with its weights, and its input. */
export function build(engine: Engine, item: Case): { model: TokenLearner; x: Tensor<FloatDType> } {
  const { dim, ffMult, numOutputTokens, numLayers, dtype } = item;
  const state = makeTensors(item.seed, item.tensors, dtype);
  const { input, ...parameters } = state;
  if (input === undefined) throw new Error(`${item.name} has no input`);
  for (const { index, value } of item.special) input.data[index] = Number(value);
  const model = new TokenLearner({ dim, ffMult, numOutputTokens, numLayers, dtype, engine, device: 'cpu' });
  model.loadStateDict(parameters);
  return { model, x: (item.channelsLast ? moveChannelsFirst(input) : input).to(model.dtype) };
}
