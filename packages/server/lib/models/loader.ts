/** Models from their sources. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { AotiModel, learnerFromStateDict, loadWeights, Module, TokenLearnerError } from 'tokenlearner';
import { type ModelFile, type ModelSource, PACKAGE_OPTIONS, WEIGHTS_OPTIONS } from '../options';

const PROGRAM = /\.[mc]?js$/i;
const PACKAGE = /\.pt2$/i;

/**
 * A module to serve. The server disposes only those that it has made itself: from weights, and from compiled programs. One of a program
 * may be in use elsewhere: a file that the program imports runs once in a process, so what it exports is the same at each load.
 */
export interface Loaded {
  module: Module;
  isOwn: boolean;
}

/**
 * Reads a model. Throws the errors of loadWeights and of learnerFromStateDict, and those of tokenlearner that a program throws; ERR_FILE_FORMAT for
 * whatever else it throws.
 */
export async function load(source: ModelSource): Promise<Loaded> {
  if (source instanceof Module) return { module: source, isOwn: false };
  const file = typeof source === 'string' ? { path: source } : source;
  if (PACKAGE.test(file.path)) return { module: await fromPackage(file), isOwn: true };
  refuse(file, PACKAGE_OPTIONS, 'they are for .pt2 packages');
  if (PROGRAM.test(file.path)) return { module: await fromProgram(file), isOwn: false };
  return { module: await fromWeights(file), isOwn: true };
}

/** Throws ERR_INVALID_ARG_VALUE if one of these options is given. */
function refuse(file: ModelFile, names: readonly (keyof ModelFile)[], why: string): void {
  const stray = names.find((name) => file[name] !== undefined);
  if (stray === undefined) return;
  throw new TokenLearnerError('ERR_INVALID_ARG_VALUE', `Expected no \`${stray}\` with ${file.path}: ${why}`);
}

async function fromPackage(source: ModelFile): Promise<Module> {
  const { path: file, device, trusted, instances } = source;
  const others = WEIGHTS_OPTIONS.filter((name) => name !== 'device');
  refuse(source, others, 'it is for weights, and this is a compiled program');
  return AotiModel.load(file, {
    trusted: trusted ?? false,
    ...(device === undefined ? {} : { device }),
    ...(instances === undefined ? {} : { instances }),
  });
}

async function fromWeights({ path: file, key, ...options }: ModelFile): Promise<Module> {
  const weights = await loadWeights(file, key === undefined ? {} : { key });
  const given = Object.entries<unknown>({ ...options }).filter(([, value]) => value !== undefined);
  try {
    return learnerFromStateDict(weights, Object.fromEntries(given));
  } finally {
    for (const tensor of Object.values(weights)) tensor.dispose();
  }
}

let loads = 0;

/** The error of a program's own code, with the file's name. Errors of tokenlearner keep their code. */
function failureOf(file: string, cause: unknown): TokenLearnerError {
  const code = cause instanceof TokenLearnerError ? cause.code : 'ERR_FILE_FORMAT';
  const { name, message, stack } = Object(cause) as Partial<Error>;
  // Where Node knows the place of a syntax error, the stack begins with it.
  const place = name === 'SyntaxError' ? /^.+:\d+(?=\n)/.exec(stack ?? '')?.[0] : undefined;
  const where = place === undefined ? '' : ` (${place})`;
  return new TokenLearnerError(code, `The module ${file} failed: ${message ?? String(cause)}${where}`, {
    cause,
  });
}

/** What a program exports by default, or what that makes. */
async function makeFrom(file: string, url: string): Promise<unknown> {
  try {
    const { default: exported } = (await import(url)) as { default?: unknown };
    return typeof exported === 'function' ? await (exported as () => unknown)() : exported;
  } catch (error) {
    throw failureOf(file, error);
  }
}

async function fromProgram(source: ModelFile): Promise<Module> {
  const { path: file } = source;
  refuse(source, WEIGHTS_OPTIONS, 'a JavaScript module chooses it itself');
  const full = path.resolve(file);
  if (!existsSync(full)) throw new TokenLearnerError('ERR_FILE_IO', `There is no file ${full}`);
  // Each load runs the program again: CommonJS caches it by its path, and ECMAScript modules by their URL.
  Reflect.deleteProperty(createRequire(full).cache, full);
  const url = pathToFileURL(full);
  url.searchParams.set('load', String(++loads));
  const made = await makeFrom(full, url.href);
  if (made instanceof Module) return made;
  throw new TokenLearnerError(
    'ERR_INVALID_ARG_TYPE',
    `Expected a Module, or a function that makes one, as the default export of ${full} but received ${typeof made}`,
  );
}
