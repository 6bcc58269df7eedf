import { quote } from '../formats/format-error';
import type { Shape } from '../shape';
import type { NameIndex } from './names';
import type { Misfit, Recognition, Shaped } from './recognise';

const FIRST = 'net.0.weight';
/** The most layers that a TokenLearner has. */
const MOST_LAYERS = 1000;

interface Layer {
  weight: Shape;
  from: [string, string];
}

/** The layers under a prefix, each with a weight (rows, columns, 1, 1) and a bias (rows). */
function layersUnder(
  prefix: string,
  dict: Readonly<Record<string, Shaped>>,
  index: NameIndex,
): Layer[] | undefined {
  const layers: Layer[] = [];
  for (; layers.length < MOST_LAYERS;) {
    const [weight, bias] = ['weight', 'bias'].map((kind) =>
      index.get(`${prefix}net.${2 * layers.length}.${kind}`),
    );
    if (weight === undefined) break;
    const shape = dict[weight]?.shape ?? [];
    const [rows, , height, width] = shape;
    if (bias === undefined || shape.length !== 4 || height !== 1 || width !== 1) return undefined;
    const biasShape = dict[bias]?.shape ?? [];
    if (biasShape.length !== 1 || biasShape[0] !== rows) return undefined;
    layers.push({ weight: shape, from: [weight, bias] });
  }
  return layers;
}

/** The options of a TokenLearner with these layers; undefined if there is none. */
function optionsOf(layers: readonly Layer[]): Recognition['options'] | undefined {
  const [first, last] = [layers[0], layers.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  const [rows = 0, dim = 0] = first.weight;
  const [numOutputTokens = 0] = last.weight;
  if (dim < 1 || numOutputTokens < 1) return undefined;
  const numLayers = layers.length;
  if (numLayers === 1) return { dim, ffMult: 1, numOutputTokens, numLayers };
  const hidden = rows / numOutputTokens;
  const ffMult = hidden / dim;
  const fits = layers.every(
    ({ weight: [outputs, inputs] }, i) =>
      outputs === (i === numLayers - 1 ? numOutputTokens : rows) && inputs === (i === 0 ? dim : hidden),
  );
  return fits && Number.isSafeInteger(ffMult) && ffMult >= 1
    ? { dim, ffMult, numOutputTokens, numLayers }
    : undefined;
}

/** A tensor of `net` that is in none of the layers. */
function strayOf(prefix: string, layers: readonly Layer[], index: NameIndex): string | undefined {
  const known = layers.flatMap((_, i) => [`${prefix}net.${2 * i}.weight`, `${prefix}net.${2 * i}.bias`]);
  return index.strayUnder(`${prefix}net.`, new Set(known));
}

/** Finds TokenLearners: net.0.weight, net.0.bias, net.2.weight, ... under any prefix; and those that have more in their `net`. */
export function* examineTokenLearners(
  dict: Readonly<Record<string, Shaped>>,
  index: NameIndex,
): Generator<Recognition | Misfit> {
  for (const prefix of index.before(FIRST)) {
    const layers = layersUnder(prefix, dict, index);
    const options = layers && optionsOf(layers);
    if (layers === undefined || options === undefined) continue;
    const title = 'this package, or the PyTorch class of the same name';
    const stray = strayOf(prefix, layers, index);
    if (stray !== undefined) {
      const problem = `it has ${quote(stray)}, which no TokenLearner has`;
      yield { module: 'TokenLearner', prefix, title, hasAllNames: true, problem };
      continue;
    }
    // Without groups these are the names and shapes of any two convolutions.
    const isSure = layers.length > 1 && Number(options.numOutputTokens) > 1;
    const isAlone = index.countUnder(prefix) === 2 * layers.length;
    yield {
      module: 'TokenLearner',
      form: undefined,
      options,
      prefix: index.prefixOf(layers[0]?.from[0] ?? '', FIRST),
      confidence: layers.length === 1 ? 'possible' : isSure && isAlone ? 'certain' : 'likely',
      isPart: !isAlone,
      source: 'tokenlearner',
      title,
      arithmetic: {},
      mapping: layers.flatMap(({ weight, from }, i) => [
        { key: `net.${2 * i}.weight`, from: from[0], permute: [0, 1, 2, 3], shape: [...weight] },
        { key: `net.${2 * i}.bias`, from: from[1], permute: [0], shape: weight.slice(0, 1) },
      ]),
    };
  }
}
