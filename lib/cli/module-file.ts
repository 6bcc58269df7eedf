import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { TokenLearnerError } from '../errors';
import type { BackboneModel } from '../index';
import { describe } from '../validate';

/** Runs a JavaScript module, whose default export is a module of this package, or a function that makes one. */
export async function loadModuleFile(file: string): Promise<BackboneModel> {
  const full = path.resolve(file);
  if (!existsSync(full)) throw new TokenLearnerError('ERR_FILE_IO', `There is no file ${full}`);
  const program = (await import(pathToFileURL(full).href)) as { default?: unknown };
  const exported = program.default;
  const made: unknown = typeof exported === 'function' ? await (exported as () => unknown)() : exported;
  if (typeof (Object(made) as Partial<BackboneModel>).forward === 'function') return made as BackboneModel;
  throw new TokenLearnerError(
    'ERR_INVALID_ARG_TYPE',
    `Expected a Module, or a function that makes one, as the default export of ${full} but received ${describe(made)}`,
  );
}
