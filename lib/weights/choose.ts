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

/** True if both are the same prefix, with dots or slashes, with or without a separator at the end. */
export function isPrefix(prefix: string, other: string): boolean {
  const plain = (text: string): string => text.replaceAll('/', '.').replace(/\.$/, '');
  return plain(prefix) === plain(other);
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

function noneFound(
  { module, prefix, variant }: WeightsChoice,
  { recognitions, misfits }: Examination,
  names: readonly string[],
): TokenLearnerError {
  const start = `Expected the weights of a ${module}${variant === undefined ? '' : ` of variant '${variant}'`}${under(prefix)}, but`;
  const near = misfits.find(
    (each) => each.module === module && (prefix === undefined || isPrefix(each.prefix, prefix)),
  );
  const others = recognitions.map((each) => `a ${each.module}${under(each.prefix)}`);
  if (near === undefined && others.length > 0) return fail(`${start} the state dict has ${list(others)}`);
  const stranger = strangerIn(names);
  if (stranger !== undefined) return fail(`${start} these are the names of ${stranger}`);
  if (near !== undefined)
    return fail(`${start} of the names of ${near.title}${under(near.prefix)}: ${near.problem}`);
  return fail(
    `${start} ${names.length === 0 ? 'the state dict is empty' : `its keys are: ${list(names.map(quote))}`}`,
  );
}

/**
 * Returns the recognition of a module's weights.
 *
 * @throws TokenLearnerError ERR_STATE_DICT if there are none, with what is there instead; or several, with the option (`prefix` or `variant`) that
 * chooses one.
 */
export function chooseWeights(dict: Readonly<Record<string, Shaped>>, choice: WeightsChoice): Recognition {
  const { module, prefix, variant } = choice;
  const examination = examineWeights(dict);
  const found = examination.recognitions.filter(
    (each) =>
      each.module === module &&
      (prefix === undefined || isPrefix(each.prefix, prefix)) &&
      (variant === undefined || each.options.variant === undefined || each.options.variant === variant),
  );
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
