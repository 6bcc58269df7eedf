import { type AnyTensor, tensorArgument } from '../tensor/tensor';
import { checkOptions, checkString } from '../validate';
import { examineWeights, isPrefix } from '../weights';
import { PLACEMENT_OPTIONS, type PlacementOptions } from './leaf';
import { recogniseWeights } from './recognised';
import { asRecord, type StateDict } from './state-dict';
import { type Engine, TokenLearner, type TokenLearnerOptions } from './token-learner';
import {
  TokenLearnerV11,
  type TokenLearnerV11Engine,
  type TokenLearnerV11StateDictOptions,
  type TokenLearnerV11Variant,
} from './token-learner-v11';
import type { TokenPooling } from './token-pooling';

const OPTIONS = [
  'engine',
  'prefix',
  'intraOpThreads',
  'variant',
  'eps',
  'approximate',
  ...PLACEMENT_OPTIONS,
] as const;

/** Options of {@link learnerFromStateDict}. One that the module does not have is refused. */
export interface LearnerStateDictOptions extends PlacementOptions {
  /** The engine, one that the module has. @default 'auto' */
  engine?: Engine | TokenLearnerV11Engine;
  /** What stands before the names. Needed where several modules' weights are in one state dict. @default any for v1.1, else none */
  prefix?: string;
  /** See {@link TokenLearner}. */
  intraOpThreads?: number;
  /** Where the weights fit variants 'a' and 'b' of v1.1. */
  variant?: TokenLearnerV11Variant;
  /** Of v1.1. */
  eps?: number;
  /** Of v1.1. */
  approximate?: 'tanh' | 'none';
}

/**
 * Creates the learner whose weights these are, a {@link TokenLearner} or a {@link TokenLearnerV11}: its names and shapes tell.
 *
 * @param dict - as for the `fromStateDict` of the class.
 * @throws TokenLearnerError the errors of that; ERR_STATE_DICT if these are the weights of none, or of several.
 *
 * @example
 * ```ts
 * import { learnerFromStateDict, TokenLearnerV11 } from 'tokenlearner';
 *
 * const dict = new TokenLearnerV11({ dim: 32 }).stateDict();
 * const learner = learnerFromStateDict(dict);
 * console.log(learner instanceof TokenLearnerV11); // true
 * ```
 */
export function learnerFromStateDict(
  dict: StateDict | ReadonlyMap<string, AnyTensor>,
  options?: LearnerStateDictOptions,
): TokenPooling {
  const { prefix, ...rest } = checkOptions('options', options, OPTIONS);
  const record = asRecord('dict', dict);
  for (const [key, tensor] of Object.entries(record)) tensorArgument(`dict[${JSON.stringify(key)}]`, tensor);
  if (isV11(record as Record<string, AnyTensor>, prefix)) {
    const own = prefix === undefined ? rest : { prefix, ...rest };
    return TokenLearnerV11.fromStateDict(dict, own as TokenLearnerV11StateDictOptions);
  }
  const weights =
    prefix === undefined ? dict : recogniseWeights(dict, { module: 'TokenLearner', prefix }).weights;
  return TokenLearner.fromStateDict(weights, rest as Omit<TokenLearnerOptions, 'dim'>);
}

/** Whether weights are those of a TokenLearnerV11. Weights that nearly fit count too: its error says what they lack. */
function isV11(dict: Record<string, AnyTensor>, prefix: unknown): boolean {
  const wanted = prefix === undefined ? undefined : checkString('options.prefix', prefix);
  const { recognitions, misfits } = examineWeights(dict);
  const here = (each: { prefix: string }): boolean => wanted === undefined || isPrefix(each.prefix, wanted);
  const modules = (recognitions.some(here) ? recognitions : misfits).filter(here);
  const isPlain = recognitions.some(
    (each) => each.module === 'TokenLearner' && (each.prefix === '' || wanted !== undefined) && here(each),
  );
  return !isPlain && modules.some(({ module }) => module === 'TokenLearnerV11');
}
