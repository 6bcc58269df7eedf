/** Attention maps: from a model, and their ranges. */
import type { FloatDType } from '../dtype';
import { TokenLearnerError } from '../errors';
import { elementCount, formatShape } from '../shape';
import { tensorState } from '../tensor/access';
import type { AnyTensor } from '../tensor/tensor';
import { describe } from '../validate';
import { isDiverging, type Colormap } from './colormap';
import type { AttentionModel, Choice } from './options';
import type { Grid } from './resample';

const EXPECTED = 'a module whose forward gives { attention } for `returnAttention`, such as a TokenLearner,';

/** The maps of some pictures: for each its tokens' maps. */
export type Maps = Grid[][];

/** The dtype of a module's input. */
export function inputDType(module: { readonly dtype?: unknown }): FloatDType {
  return (module.dtype ?? 'float32') as FloatDType;
}

/** Runs the backbone, if there is one, and the model. Throws the errors of both, and ERR_INVALID_ARG_VALUE if they are not what they should be. */
export async function attentionOf(model: AttentionModel, input: AnyTensor, choice: Choice): Promise<Maps> {
  const { backbone, control } = choice;
  const features = backbone === undefined ? input : await featuresOf(backbone, input, choice);
  const options = { ...control, returnAttention: true };
  let result: unknown;
  try {
    result = await model.forward(inDType(features, model), options);
  } catch (error) {
    const { code, message } = Object(error) as Partial<TokenLearnerError>;
    if (code !== 'ERR_INVALID_ARG_VALUE' || message?.includes('returnAttention') !== true) throw error;
    throw new TokenLearnerError('ERR_INVALID_ARG_VALUE', `Expected ${EXPECTED} for \`model\`: ${message}`, {
      cause: error,
    });
  }
  const attention: unknown =
    Object(result) === result ? (result as { attention?: unknown }).attention : undefined;
  if (tensorState(attention) !== undefined) return mapsOf(attention as AnyTensor, choice.tokens);
  throw new TokenLearnerError(
    'ERR_INVALID_ARG_VALUE',
    `Expected ${EXPECTED} for \`model\` but its forward gave ${describe(result)}`,
  );
}

function inDType(tensor: AnyTensor, module: { readonly dtype?: unknown }): AnyTensor {
  const dtype = inputDType(module);
  return tensor.dtype === dtype ? tensor : tensor.to(dtype);
}

async function featuresOf(
  backbone: NonNullable<Choice['backbone']>,
  input: AnyTensor,
  { control }: Choice,
): Promise<AnyTensor> {
  const options = Object.keys(control).length === 0 ? [] : [control];
  const features: unknown = await backbone.forward(inDType(input, backbone), ...options);
  if (tensorState(features) !== undefined) return features as AnyTensor;
  throw new TokenLearnerError(
    'ERR_INVALID_ARG_VALUE',
    `Expected a module that gives the features as one tensor for \`options.backbone\` but it gave ${describe(features)}`,
  );
}

/** Copies maps of shape (..., G, H, W). Throws ERR_SHAPE_MISMATCH, ERR_OUT_OF_RANGE. */
function mapsOf(attention: AnyTensor, tokens: readonly number[] | undefined): Maps {
  const { shape } = attention;
  const [count = 0, height = 0, width = 0] = shape.slice(-3);
  if (shape.length < 3 || elementCount(shape) === 0) {
    throw new TokenLearnerError(
      'ERR_SHAPE_MISMATCH',
      `Expected attention maps of shape (..., G, H, W) with at least one pixel but the model gave ${formatShape(shape)}`,
    );
  }
  const chosen = tokens ?? Array.from({ length: count }, (_, g) => g);
  const wrong = chosen.find((token) => token >= count);
  if (wrong !== undefined)
    throw new TokenLearnerError(
      'ERR_OUT_OF_RANGE',
      `Expected \`options.tokens\` below ${count}, the number of tokens, but received ${wrong}`,
    );
  const data = attention.to('cpu').to('float32').contiguous().data;
  const size = height * width;
  const pictures = elementCount(shape) / (count * size);
  return Array.from({ length: pictures }, (_, n) =>
    chosen.map((token) => {
      const from = (n * count + token) * size;
      const map = data.subarray(from, from + size);
      if (!map.every(Number.isFinite))
        throw new TokenLearnerError(
          'ERR_OUT_OF_RANGE',
          `Expected finite attention but the map of token ${token} of picture ${n} holds NaN or an infinity`,
        );
      return { data: map, width, height };
    }),
  );
}

/** The values of the first and the last colour. */
export type Range = readonly [min: number, max: number];

function extent(maps: readonly Grid[]): Range {
  let [min, max] = [Infinity, -Infinity];
  for (const { data } of maps) {
    for (const value of data) {
      if (value < min) min = value;
      if (value > max) max = value;
    }
  }
  return [min, max];
}

/** The range of each picture's maps. */
export function rangesOf(
  maps: Maps,
  range: Choice['range'],
  animated: boolean,
  colormap: Colormap,
): Range[][] {
  const around = ([min, max]: Range): Range => {
    const most = Math.max(Math.abs(min), Math.abs(max));
    return isDiverging(colormap) ? [-most, most] : [min, max];
  };
  const same = (each: Range): Range[][] => maps.map((tokens) => tokens.map(() => each));
  if (typeof range !== 'string') return same(range);
  if (range === 'shared') return same(around(extent(maps.flat())));
  if (!animated) return maps.map((tokens) => tokens.map((map) => around(extent([map]))));
  const ofTokens = (maps[0] ?? []).map((_, g) =>
    around(extent(maps.flatMap((tokens) => tokens.slice(g, g + 1)))),
  );
  return maps.map(() => ofTokens);
}
