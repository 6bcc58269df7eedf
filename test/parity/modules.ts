import {
  Conv2d,
  Flatten,
  GELU,
  LayerNorm,
  Linear,
  MaxPool2d,
  ReLU,
  Sequential,
  TokenLearner,
  type Module,
} from '../../lib';
import type { LayerSpec } from './fixtures';

type Constructor = new (...args: never[]) => Module;
const CLASSES: Record<string, Constructor> = {
  Conv2d,
  Flatten,
  GELU,
  LayerNorm,
  Linear,
  MaxPool2d,
  ReLU,
  TokenLearner,
};

function construct([name, args, options]: LayerSpec): Module {
  const Class = CLASSES[name];
  if (Class === undefined) throw new Error(`No class ${name}`);
  const all = Object.keys(options).length > 0 ? [...args, options] : args;
  return new Class(...(all as never[]));
}

/** One layer as itself, several as a Sequential. */
export function constructAll(layers: LayerSpec[]): Module {
  const built = layers.map(construct);
  const [only] = built;
  return only !== undefined && built.length === 1 ? only : new Sequential(...built);
}
