/** The parameters of a module's layers, read and written by name. */
import type { AnyTensor } from '../tensor/tensor';
import { type NativeLayer, readParametersAsync, writeParameters } from './native';
import { checkStateDict, type LoadStateDictResult, type StateDict } from './state-dict';
import { type NamedLayer, parameterSpecs } from './tree';

/** Names the parameters of a layer. */
function named({ prefix, layer }: NamedLayer, tensors: readonly AnyTensor[]): [string, AnyTensor][] {
  return tensors.map((tensor, i) => [`${prefix}${layer.specs[i]?.name ?? ''}`, tensor]);
}

/** Named parameters as a state dict. */
function asStateDict(parameters: readonly [name: string, tensor: AnyTensor][]): StateDict {
  const dict = Object.create(null) as StateDict;
  for (const [name, tensor] of parameters) dict[name] = tensor;
  return dict;
}

/** Copies the parameters of layers to the CPU, in order. */
export function readParameters(layers: readonly NamedLayer[]): [name: string, tensor: AnyTensor][] {
  return layers.flatMap((each) => named(each, each.layer.readParameters()));
}

/** Copies the parameters of layers to the CPU, by name. */
export function readStateDict(layers: readonly NamedLayer[]): StateDict {
  return asStateDict(readParameters(layers));
}

/** The same on the executors' threads, as they are at the call. */
export async function readStateDictAsync(layers: readonly NamedLayer[]): Promise<StateDict> {
  const parameters = await readParametersAsync(layers.map(({ layer }) => layer));
  return asStateDict(layers.flatMap((each, i) => named(each, parameters[i] ?? [])));
}

/**
 * Replaces the parameters of layers by those of a state dict: all of them, or none if it throws. A layer may have several names;
 * of the tensors for one parameter, the last one counts. Throws the errors of {@link checkStateDict}.
 */
export function writeStateDict(
  moduleName: string,
  layers: readonly NamedLayer[],
  dict: unknown,
  options: unknown,
): LoadStateDictResult {
  const { tensors, ...result } = checkStateDict(moduleName, parameterSpecs(layers), dict, options);
  const given = new Map<NativeLayer, Map<string, AnyTensor>>();
  for (const { prefix, layer } of layers) {
    for (const { name } of layer.specs) {
      const tensor = tensors.get(prefix + name);
      if (tensor !== undefined)
        given.set(layer, (given.get(layer) ?? new Map<string, AnyTensor>()).set(name, tensor));
    }
  }
  writeParameters(given);
  return result;
}
