/** How the family's modules take their weights from any state dict that lib/weights recognises. */
import { dtypeFromCode, type FloatDType, isFloatDType } from '../dtype';
import { TokenLearnerError } from '../errors';
import { type AnyTensor, tensorArgument } from '../tensor/tensor';
import { checkString } from '../validate';
import { chooseWeights, toOwnNames, type WeightsChoice } from '../weights';
import type { Module } from './module';
import { asRecord, type StateDict } from './state-dict';

/** A module's options as a state dict determines them, and its weights by this package's names. */
interface RecognisedWeights {
  options: Readonly<Record<string, string | number | boolean>>;
  dtype: FloatDType;
  weights: StateDict;
}

/** Throws ERR_STATE_DICT, ERR_DTYPE_MISMATCH, ERR_INVALID_ARG_TYPE. */
export function recogniseWeights(
  given: unknown,
  choice: Pick<WeightsChoice, 'module'> & { variant: WeightsChoice['variant']; prefix: unknown },
): RecognisedWeights {
  const record = asRecord('dict', given);
  for (const [key, tensor] of Object.entries(record)) tensorArgument(`dict[${JSON.stringify(key)}]`, tensor);
  const dict = record as Record<string, AnyTensor>;
  const prefix = choice.prefix === undefined ? undefined : checkString('options.prefix', choice.prefix);
  const recognition = chooseWeights(dict, { ...choice, prefix });
  const weights = toOwnNames(dict, recognition);
  const [name, first] = Object.entries(weights)[0] ?? [];
  if (name === undefined || first === undefined)
    throw new TokenLearnerError('ERR_STATE_DICT', `The state dict has no weights of a ${choice.module}`);
  const dtype = dtypeFromCode(tensorArgument(name, first).dtype);
  if (!isFloatDType(dtype)) {
    throw new TokenLearnerError(
      'ERR_DTYPE_MISMATCH',
      `Expected a floating dtype for \`${name}\` but received ${dtype}`,
    );
  }
  return { options: recognition.options, dtype, weights };
}

/** Loads weights into a new module, and disposes it if that fails. */
export function withWeights<M extends Module>(
  module: M,
  weights: StateDict | ReadonlyMap<string, AnyTensor>,
): M {
  try {
    module.loadStateDict(weights);
    return module;
  } catch (error) {
    module.dispose();
    throw error;
  }
}
