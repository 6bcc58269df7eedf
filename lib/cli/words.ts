/** Errors of the library's options, in the words of the command line. */
import { TokenLearnerError } from '../errors';
import { UsageError } from './usage-error';

const WRONG_VALUE = new Set(['ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_VALUE', 'ERR_OUT_OF_RANGE']);
/** `options.tileSize`, `options.tokens[0]` or `options.models.NAME.device`, and the command's own name after it; also `prefix` and `trusted: true`. */
const MENTION = /`(?:options\.([^`]+)|(key|prefix|variant|filter|trusted)(?:: true)?)`(?: \(--[a-z-]+\))?/g;
/** Of an option that a module, or its forward, does not have. */
const STRANGER = /^Expected (?:no options|only the options [\w, ]+) for `options` but received '(\w+)'$/;

/** The option of the command for one of the library. */
function ownName(path: string, names: Readonly<Record<string, string>>): string {
  const model = /^models\..*?(?:\.(\w+))?$/.exec(path);
  const name = model === null ? path.replace(/\[.*$/, '') : (model[1] ?? 'models');
  const own = names[name] ?? name;
  return `--${own.replaceAll('.', '-').replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/**
 * An error about options of the library that the command has too: a wrong value is wrong usage. Other errors, such as those of a user's module, stay as
 * they are.
 *
 * @param known - the library's names of the command's options
 * @param names - the command's names, where they are not the same
 * @param module - the class that the options are for, where it is known
 */
export function inWordsOfCommand(
  error: unknown,
  known: readonly string[],
  names: Readonly<Record<string, string>> = {},
  module?: string,
): unknown {
  if (!(error instanceof TokenLearnerError)) return error;
  const { code } = error;
  const stranger = STRANGER.exec(error.message)?.[1];
  if (stranger !== undefined && module !== undefined && known.includes(stranger))
    return new UsageError(`${ownName(stranger, names)} is not for a ${module} [${code}]`, { cause: error });
  const [first] = error.message.matchAll(MENTION);
  const [option = ''] = (first?.[1] ?? first?.[2])?.split(/[.[]/) ?? [];
  if (!known.includes(option)) return error;
  const message = error.message
    .replaceAll(MENTION, (text, path: string | undefined, bare: string | undefined) => {
      if (bare !== undefined && !known.includes(bare)) return text;
      return ownName(path ?? bare ?? '', names);
    })
    .replaceAll(/(--[\w-]+), \1(?![\w-])/g, '$1');
  if (WRONG_VALUE.has(code)) return new UsageError(`${message} [${code}]`, { cause: error });
  return new TokenLearnerError(code, message, { cause: error });
}
