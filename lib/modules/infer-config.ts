import { dtypeInfo, type FloatDType } from '../dtype';
import { TokenLearnerError } from '../errors';
import { formatShape } from '../shape';
import { type AnyTensor, tensorArgument } from '../tensor/tensor';
import { contentInstead, examineWeights } from '../weights';
import { asRecord } from './state-dict';

export interface InferredConfig {
  dim: number;
  ffMult: number;
  numOutputTokens: number;
  numLayers: number;
  dtype: FloatDType;
}

function weights(dict: Record<string, unknown>): AnyTensor[] {
  let length = 0;
  while (Object.hasOwn(dict, `net.${2 * length}.weight`)) length += 1;
  return Array.from({ length }, (_, i) => {
    const tensor = dict[`net.${2 * i}.weight`];
    tensorArgument(`net.${2 * i}.weight`, tensor);
    return tensor as AnyTensor;
  });
}

/** The error for a state dict without a TokenLearner's names at its beginning. */
function noneFound(dict: Record<string, unknown>): TokenLearnerError {
  for (const [key, tensor] of Object.entries(dict)) tensorArgument(`dict[${JSON.stringify(key)}]`, tensor);
  const examination = examineWeights(dict as Record<string, AnyTensor>);
  const instead = contentInstead('TokenLearner', undefined, examination, Object.keys(dict));
  const isElsewhere = examination.recognitions.some(({ module }) => module !== 'TokenFuser');
  return new TokenLearnerError(
    'ERR_STATE_DICT',
    `Expected a TokenLearner's state dict, with net.0.weight, but ${instead}${isElsewhere ? ': use learnerFromStateDict' : ''}`,
  );
}

/** Infers a TokenLearner's configuration from the shapes of its state dict. Throws ERR_STATE_DICT, ERR_DTYPE_MISMATCH, ERR_INVALID_ARG_TYPE. */
export function inferConfig(given: unknown): InferredConfig {
  const dict = asRecord('dict', given);
  const tensors = weights(dict);
  const [first, last] = [tensors[0], tensors.at(-1)];
  if (first === undefined || last === undefined) throw noneFound(dict);
  if (!dtypeInfo(first.dtype).floating) {
    throw new TokenLearnerError(
      'ERR_DTYPE_MISMATCH',
      `Expected a floating dtype for \`net.0.weight\` but received ${first.dtype}`,
    );
  }
  const [rows = 0, dim = 0] = first.shape;
  const groups = last.shape[0] ?? 0;
  const hidden = tensors.length === 1 ? dim : rows / groups;
  const ffMult = tensors.length === 1 ? 1 : hidden / dim;
  if (first.shape.length !== 4 || !Number.isSafeInteger(ffMult) || ffMult < 1 || dim < 1 || groups < 1) {
    throw new TokenLearnerError(
      'ERR_STATE_DICT',
      `No TokenLearner has net.0.weight of shape ${formatShape(first.shape)} and a last weight of shape ${formatShape(last.shape)}`,
    );
  }
  return {
    dim,
    ffMult,
    numOutputTokens: groups,
    numLayers: tensors.length,
    dtype: first.dtype as FloatDType,
  };
}
