/** Which tensors of a file to read. */
import { checkOptions, checkString, unexpected } from '../validate';

/** Returns true for the names of the tensors to read. */
export type NameFilter = (name: string) => boolean;

/** Checked options of a loader. */
export interface Choice {
  /** The entry of a checkpoint that holds the state dict. */
  readonly key: string | undefined;
  readonly filter: NameFilter | undefined;
}

/** Everything, from the default place. */
export const EVERYTHING: Choice = { key: undefined, filter: undefined };

/**
 * Checks the options of a loader.
 *
 * @param allowed - the options that this loader has
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE
 */
export function checkChoice(options: unknown, allowed: readonly (keyof Choice)[]): Choice {
  const { key, filter } = checkOptions('options', options, allowed);
  if (filter !== undefined && typeof filter !== 'function')
    throw unexpected('ERR_INVALID_ARG_TYPE', 'options.filter', 'a function (name) => boolean', filter);
  return {
    key: key === undefined ? undefined : checkString('options.key', key),
    filter: filter as NameFilter | undefined,
  };
}

/** True if the filter accepts a name. Errors of the filter pass through. Throws ERR_INVALID_ARG_TYPE if it returns no boolean. */
export function passes(filter: NameFilter | undefined, name: string): boolean {
  if (filter === undefined) return true;
  const answer: unknown = filter(name);
  if (typeof answer === 'boolean') return answer;
  throw unexpected('ERR_INVALID_ARG_TYPE', 'options.filter', 'a function that returns a boolean', answer);
}
