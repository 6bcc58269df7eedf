/** What the protocol says about a model: its inputs and outputs. -1 is any size. */
import {
  type AotiInput,
  AotiModel,
  type AotiOutput,
  Conv2d,
  type DType,
  LayerNorm,
  Linear,
  MaxPool2d,
  type Module,
  Sequential,
  TokenPooling,
} from 'tokenlearner';
import { datatypeOf } from '../datatypes';

export interface TensorMetadata {
  name: string;
  datatype: string;
  shape: number[];
}

export interface ModelMetadata {
  inputs: readonly [TensorMetadata, ...TensorMetadata[]];
  outputs: TensorMetadata[];
}

const INPUT = 'input';
export const TOKENS = 'tokens';
export const ATTENTION = 'attention';
export const OUTPUT = 'output';

/** The layer that takes a module's input. Undefined if the module's class computes it in a way of its own. */
function firstLayer(module: Module): Module | undefined {
  if (!(module instanceof Sequential)) return module;
  const first = module.children()[0];
  return first === undefined ? undefined : firstLayer(first);
}

/** The shape of a module's own `weight`; undefined if it has none. */
function weightShape(module: Module): readonly number[] | undefined {
  const parameters = module.namedParameters();
  const shape = parameters.find(([name]) => name === 'weight')?.[1].shape;
  for (const [, tensor] of parameters) tensor.dispose();
  return shape;
}

function inputShape(module: Module): number[] {
  const first = firstLayer(module);
  if (first instanceof AotiModel) return programMetadata(first).inputs[0].shape;
  if (first instanceof TokenPooling) return [-1, first.dim, -1, -1];
  if (first instanceof Conv2d || first instanceof MaxPool2d) return [-1, -1, -1, -1];
  if (first instanceof Linear) return [-1, weightShape(first)?.[1] ?? -1];
  if (first instanceof LayerNorm) return [-1, ...(weightShape(first) ?? [-1])];
  return [-1];
}

/** What stands for the datatype of an output that a package does not describe. The answers have the real one. */
const UNKNOWN = 'UNKNOWN';

/** A compiled program's own names, datatypes and sizes. */
function programMetadata(model: AotiModel): ModelMetadata {
  const sizes = (shape: AotiInput['shape'] = [-1]): number[] =>
    shape.map((size) => {
      if (typeof size === 'number') return size;
      return size.min === size.max ? size.min : -1;
    });
  const described = ({ name, dtype, shape }: AotiOutput): TensorMetadata => ({
    name,
    datatype: dtype === undefined ? UNKNOWN : datatypeOf(dtype as DType),
    shape: sizes(shape),
  });
  return {
    inputs: model.inputs.map(described) as [TensorMetadata],
    outputs: model.outputs.map(described),
  };
}

/** The input has any number of leading dimensions; the protocol can only show one. */
export function metadataOf(module: Module): ModelMetadata {
  if (module instanceof AotiModel) return programMetadata(module);
  const datatype = datatypeOf(module.dtype);
  const first = firstLayer(module);
  const own = first instanceof AotiModel ? programMetadata(first).inputs[0].datatype : datatype;
  const inputs: ModelMetadata['inputs'] = [{ name: INPUT, datatype: own, shape: inputShape(module) }];
  if (!(module instanceof TokenPooling))
    return { inputs, outputs: [{ name: OUTPUT, datatype, shape: [-1] }] };
  const { dim, numOutputTokens } = module;
  return {
    inputs,
    outputs: [
      { name: TOKENS, datatype, shape: [-1, dim, numOutputTokens] },
      { name: ATTENTION, datatype, shape: [-1, numOutputTokens, -1, -1] },
    ],
  };
}
