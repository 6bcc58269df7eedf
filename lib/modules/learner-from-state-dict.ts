import { TokenLearnerError } from '../errors';
import { type AnyTensor, tensorArgument } from '../tensor/tensor';
import { checkOptions, checkString } from '../validate';
import { chooseWeights, examineWeights, isPrefix, type Recognition, surest } from '../weights';
import type { Shaped } from '../weights/recognise';
import { PLACEMENT_OPTIONS, type PlacementOptions } from './leaf';
import { recogniseWeights } from './recognised';
import { asRecord, type StateDict } from './state-dict';
import { type Engine, TokenLearner, type TokenLearnerOptions } from './token-learner';
import { TokenLearnerV10, type TokenLearnerV10StateDictOptions } from './token-learner-v10';
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
  'allowTf32',
  'pooling',
  'variant',
  'eps',
  'approximate',
  ...PLACEMENT_OPTIONS,
] as const;

/** Options of {@link learnerFromStateDict}. One that the module does not have is refused. */
export interface LearnerStateDictOptions extends PlacementOptions {
  /** The engine, one that the module has. @default 'auto' */
  engine?: Engine | TokenLearnerV11Engine | undefined;
  /** What stands before the names. Needed where several modules' weights are in one state dict. @default any, if it is the only one */
  prefix?: string | undefined;
  /** See {@link TokenLearner}. */
  intraOpThreads?: number | undefined;
  /** See {@link TokenLearner}. */
  allowTf32?: boolean | undefined;
  /** Where the weights fit variants 'a' and 'b' of v1.1. */
  variant?: TokenLearnerV11Variant | undefined;
  /** Of v1.0. */
  pooling?: 'sum' | 'mean' | undefined;
  /** Of v1.0 and v1.1. */
  eps?: number | undefined;
  /** Of v1.0 and v1.1. */
  approximate?: 'tanh' | 'none' | undefined;
}

/**
 * Creates the learner whose weights these are, a {@link TokenLearner}, a {@link TokenLearnerV10} or a {@link TokenLearnerV11}: its names and shapes tell.
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
  const wanted = prefix === undefined ? undefined : checkString('options.prefix', prefix);
  const { name, isPlain } = learnerIn(record as Record<string, AnyTensor>, wanted);
  const own = prefix === undefined ? rest : { prefix, ...rest };
  if (name === 'TokenLearnerV10')
    return TokenLearnerV10.fromStateDict(dict, own as TokenLearnerV10StateDictOptions);
  if (name === 'TokenLearnerV11')
    return TokenLearnerV11.fromStateDict(dict, own as TokenLearnerV11StateDictOptions);
  const weights = isPlain
    ? dict
    : recogniseWeights(dict, { module: 'TokenLearner', variant: undefined, prefix }).weights;
  return TokenLearner.fromStateDict(weights, rest as Omit<TokenLearnerOptions, 'dim'>);
}

/**
 * The class of which {@link learnerFromStateDict} would make a module of tensors of these shapes, and the names of the tensors that it would take;
 * undefined if it would look at all.
 *
 * @throws TokenLearnerError ERR_STATE_DICT
 */
export function learnerTensors(
  shapes: Readonly<Record<string, Shaped>>,
  { prefix, variant }: Pick<LearnerStateDictOptions, 'prefix' | 'variant'>,
): { name: string; taken: ReadonlySet<string> | undefined } {
  const { name, isPlain } = learnerIn(shapes, prefix);
  if (isPlain) return { name, taken: undefined };
  const { mapping } = chooseWeights(shapes, { module: name, prefix, variant });
  return { name, taken: new Set(mapping.map(({ from }) => from)) };
}

const LEARNERS = ['TokenLearner', 'TokenLearnerV10', 'TokenLearnerV11'] as const;

interface Found {
  name: (typeof LEARNERS)[number];
  /** For a TokenLearner: these are its names, with nothing before them, or no learner's at all. */
  isPlain: boolean;
}

/** The class whose weights these are. Weights that nearly fit an official one count too: its error says what they lack. */
function learnerIn(dict: Readonly<Record<string, Shaped>>, wanted: string | undefined): Found {
  const { recognitions, misfits } = examineWeights(dict);
  const here = (each: { prefix: string }): boolean => wanted === undefined || isPrefix(each.prefix, wanted);
  const isPlain = wanted === undefined && recognitions.some(isPlainTokenLearner);
  if (isPlain) return { name: 'TokenLearner', isPlain };
  const isRecognised = recognitions.some(here);
  const modules = isRecognised ? surest(recognitions.filter(isLearner), wanted) : misfits.filter(here);
  const found = LEARNERS.filter((name) => modules.some(({ module }) => module === name));
  if (found.length > 1 && isRecognised) {
    throw new TokenLearnerError(
      'ERR_STATE_DICT',
      `Expected the weights of one learner but received those of ${found.join(' and ')}: use the fromStateDict of one of them, or give \`prefix\``,
    );
  }
  const official = found.find((name) => name !== 'TokenLearner');
  return { name: official ?? 'TokenLearner', isPlain: wanted === undefined && !isRecognised };
}

function isLearner({ module }: Recognition): boolean {
  return LEARNERS.some((name) => name === module);
}

function isPlainTokenLearner({ module, prefix }: { module: string; prefix: string }): boolean {
  return module === 'TokenLearner' && prefix === '';
}
