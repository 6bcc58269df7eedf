import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { messageOf, TokenLearnerError } from '../errors';
import type { BackboneModel } from '../index';
import { describe } from '../validate';

/** The error of a JavaScript module's own code, with the file's name. Errors of this package keep their code. */
function failureOf(file: string, cause: unknown): TokenLearnerError {
  const code = cause instanceof TokenLearnerError ? cause.code : 'ERR_FILE_FORMAT';
  const { name, stack } = Object(cause) as Partial<Error>;
  // Where Node knows the place of a syntax error, the stack begins with it.
  const place = name === 'SyntaxError' ? /^.+:\d+(?=\n)/.exec(stack ?? '')?.[0] : undefined;
  const where = place === undefined ? '' : ` (${place})`;
  return new TokenLearnerError(code, `The module ${file} failed: ${messageOf(cause)}${where}`, { cause });
}

/** What a JavaScript module exports by default, or what that makes. */
async function makeFrom(file: string): Promise<unknown> {
  try {
    const { default: exported } = (await import(pathToFileURL(file).href)) as { default?: unknown };
    return typeof exported === 'function' ? await (exported as () => unknown)() : exported;
  } catch (error) {
    throw failureOf(file, error);
  }
}

/**
 * Runs a JavaScript module, whose default export is a module of this package, or a function that makes one.
 *
 * @throws TokenLearnerError ERR_FILE_IO if there is no such file; ERR_INVALID_ARG_TYPE for another export; for an error of the module's own code its
 * code, or ERR_FILE_FORMAT where it has none of this package, with the error as `cause`.
 */
export async function loadModuleFile(file: string): Promise<BackboneModel> {
  const full = path.resolve(file);
  if (!existsSync(full)) throw new TokenLearnerError('ERR_FILE_IO', `There is no file ${full}`);
  const made = await makeFrom(full);
  if (typeof (Object(made) as Partial<BackboneModel>).forward === 'function') return made as BackboneModel;
  throw new TokenLearnerError(
    'ERR_INVALID_ARG_TYPE',
    `Expected a Module, or a function that makes one, as the default export of ${full} but received ${describe(made)}`,
  );
}
