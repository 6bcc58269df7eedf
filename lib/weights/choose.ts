/** Chooses the weights of one module in a state dict. */
import { TokenLearnerError } from '../errors';
import { quote, quoteAll } from '../formats/format-error';
import type { FamilyModule } from './forms';
import { STRANGERS } from './key-families';
import { NameIndex } from './names';
import { type Examination, examineWeights, type Recognition, type Shaped } from './recognise';

/** The most names in a message. */
const SHOWN = 5;

/** What the user has chosen. */
export interface WeightsChoice {
  readonly module: FamilyModule;
  /** What stands before the names; a separator at its end may be left out. Undefined takes any, if it is the only one. */
  readonly prefix?: string | undefined;
  /** The variant of a TokenLearnerV11, where the names do not tell it. */
  readonly variant?: 'a' | 'b' | 'd' | undefined;
}

function fail(message: string): TokenLearnerError {
  return new TokenLearnerError('ERR_STATE_DICT', message);
}

function list(items: readonly string[]): string {
  return items.slice(0, SHOWN).join(', ') + (items.length > SHOWN ? ', ...' : '');
}

/** A prefix or a name with dots, without a separator at the end. */
function plain(text: string): string {
  return text.replaceAll('/', '.').replace(/\.$/, '');
}

/** True if both are the same prefix, with dots or slashes, with or without a separator at the end. */
export function isPrefix(prefix: string, other: string): boolean {
  return plain(prefix) === plain(other);
}

/** Accepts the names that can belong to a module with this prefix; undefined for all. */
export function namesUnder(prefix: string | undefined): ((name: string) => boolean) | undefined {
  if (prefix === undefined) return undefined;
  const start = plain(prefix);
  return (name) => plain(name).startsWith(start);
}

/** True if blocks of other models have such names too. Where variants a and b both fit, only the variant is in doubt. */
function isDoubtful({ confidence, options }: Recognition): boolean {
  return confidence === 'possible' && options.variant !== 'a' && options.variant !== 'b';
}

/**
 * Returns the modules under the prefix, or all of them, without the doubtful ones if there is a sure one. It keeps a doubtful one that has the
 * class of a sure one and is not a part of something else: the caller may mean either.
 */
export function surest(
  recognitions: readonly Recognition[],
  prefix: string | undefined,
): readonly Recognition[] {
  const here = recognitions.filter((each) => prefix === undefined || isPrefix(each.prefix, prefix));
  const sure = new Set(here.flatMap((each) => (isDoubtful(each) ? [] : [each.module])));
  if (sure.size === 0) return here;
  return here.filter((each) => !isDoubtful(each) || (!each.isPart && sure.has(each.module)));
}

/** Where the names stand; nothing for the beginning. */
function under(prefix: string | undefined): string {
  return prefix === undefined || prefix === '' ? '' : ` under ${quote(prefix)}`;
}

function strangerIn(names: readonly string[]): string | undefined {
  const index = new NameIndex(names);
  const [first, ...rest] = STRANGERS.map(([[key = '', ...others], what]) =>
    [...index.before(key)].some((prefix) => others.every((other) => index.get(prefix + other) !== undefined))
      ? what
      : undefined,
  );
  return first ?? rest.find((what) => what !== undefined);
}

/** What a state dict has instead of a module's weights, for the end of a message. */
export function contentInstead(
  module: FamilyModule,
  prefix: string | undefined,
  { recognitions, misfits }: Examination,
  names: readonly string[],
): string {
  const nearby = misfits.filter(
    (each) => each.module === module && (prefix === undefined || isPrefix(each.prefix, prefix)),
  );
  // Names that lack some are often another model's.
  const near = nearby.find(({ hasAllNames }) => hasAllNames) ?? nearby[0];
  const others = recognitions.map((each) => `a ${each.module}${under(each.prefix)}`);
  if (near?.hasAllNames !== true && others.length > 0) return `the state dict has ${list(others)}`;
  const stranger = strangerIn(names);
  if (stranger !== undefined) return `these are the names of ${stranger}`;
  if (near !== undefined) return `of the names of ${near.title}${under(near.prefix)}: ${near.problem}`;
  return names.length === 0 ? 'the state dict is empty' : `its keys are: ${list(names.map(quote))}`;
}

function noneFound(
  { module, prefix, variant }: WeightsChoice,
  examination: Examination,
  names: readonly string[],
): TokenLearnerError {
  const what = `${module}${variant === undefined ? '' : ` of variant '${variant}'`}${under(prefix)}`;
  return fail(`Expected the weights of a ${what}, but ${contentInstead(module, prefix, examination, names)}`);
}

/**
 * Returns the recognition of a module's weights, the surest one.
 *
 * @throws TokenLearnerError ERR_STATE_DICT if there are none, with what is there instead; or several, with the option (`prefix` or `variant`) that
 * chooses one.
 */
export function chooseWeights(dict: Readonly<Record<string, Shaped>>, choice: WeightsChoice): Recognition {
  const { module, prefix, variant } = choice;
  const examination = examineWeights(dict);
  const fitting = examination.recognitions.filter(
    (each) =>
      each.module === module &&
      (variant === undefined || each.options.variant === undefined || each.options.variant === variant),
  );
  const found = surest(fitting, prefix);
  const [first] = found;
  if (first === undefined) throw noneFound(choice, examination, Object.keys(dict));
  if (found.length === 1) return first;
  const prefixes = [...new Set(found.map((each) => each.prefix))];
  if (prefixes.length > 1) {
    throw fail(
      `The state dict has the weights of several ${module}: choose one with \`prefix\`: ${list(prefixes.map(quoteAll))}`,
    );
  }
  const variants = found.map((each) => `'${String(each.options.variant)}'`);
  throw fail(
    `The weights fit several variants of ${module}, which neither names nor shapes tell apart: choose one with \`variant\`: ${list(variants)}`,
  );
}
