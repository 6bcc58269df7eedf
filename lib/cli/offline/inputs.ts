/** From what `--input` names to the list of files. */
import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { TokenLearnerError } from '../../errors';
import { ioError } from '../../formats/format-error';
import { type Glob, isPattern, parseGlob } from './glob';

/** The endings of the files that a folder or pattern gives. */
const ARRAYS = /\.(?:npy|npz|safetensors)$/i;
const ALL = /^/;

/** A file to run. */
export interface InputFile {
  path: string;
  /** Its path under the folder or the fixed part of the pattern that gave it; its name, if it was named itself. */
  relative: string;
}

async function isFolder(name: string): Promise<boolean | undefined> {
  try {
    return (await stat(name)).isDirectory();
  } catch {
    return undefined;
  }
}

/** What a call of the file system gives. Throws ERR_FILE_IO. */
async function reading<T>(name: string, found: Promise<T>): Promise<T> {
  try {
    return await found;
  } catch (error) {
    throw ioError('read', name, error);
  }
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  const entries = await reading(folder, readdir(folder, { withFileTypes: true }));
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Looks for files in a folder and those under it. */
class Walk {
  /** The visible files, by their paths under the folder, those of linked folders last. */
  readonly files: string[] = [];
  readonly #glob: Glob;
  readonly #except: ReadonlySet<string>;
  readonly #links: { name: string; above: readonly string[] }[] = [];

  /** @param except - folders that are not entered, without links */
  constructor(glob: Glob, except: ReadonlySet<string>) {
    this.#glob = glob;
    this.#except = except;
  }

  async run(): Promise<string[]> {
    await this.#enter('', []);
    // Grows while it runs.
    for (const { name, above } of this.#links) await this.#enter(name, above);
    return this.files;
  }

  /** @param above - the folders on the way, without links: a link back to one of them would go round in circles */
  async #enter(name: string, above: readonly string[]): Promise<void> {
    const here = path.join(this.#glob.folder, name);
    const real = await reading(here, realpath(here));
    if (this.#except.has(real) || above.includes(real)) return;
    const way = [...above, real];
    for (const entry of await entriesOf(here)) {
      if (entry.name.startsWith('.')) continue;
      const inner = name === '' ? entry.name : `${name}/${entry.name}`;
      const folder =
        entry.isDirectory() || (!entry.isFile() && (await isFolder(path.join(here, entry.name))));
      if (folder === false) this.files.push(inner);
      else if (folder === undefined || !this.#glob.enters.test(inner)) continue;
      else if (entry.isDirectory()) await this.#enter(inner, way);
      else this.#links.push({ name: inner, above: way });
    }
  }
}

function missing(input: string, what: string): TokenLearnerError {
  return new TokenLearnerError('ERR_FILE_IO', `--input ${input}: ${what}`);
}

async function filesOf(input: string, except: ReadonlySet<string>): Promise<InputFile[]> {
  const isDirectory = await isFolder(input);
  if (isDirectory === false) return [{ path: input, relative: path.basename(input) }];
  if (isDirectory === undefined && !isPattern(input)) throw missing(input, 'there is no such file or folder');
  const glob = isDirectory === true ? { folder: input, matches: ALL, enters: ALL } : parseGlob(input);
  const { folder, matches } = glob;
  if ((await isFolder(folder)) !== true) throw missing(input, `there is no folder ${folder}`);
  const names = await new Walk(glob, except).run();
  const found = names.filter((name) => matches.test(name) && ARRAYS.test(name));
  if (found.length === 0) throw missing(input, 'it gives no .npy, .npz or .safetensors file');
  return found.map((name) => ({ path: path.join(folder, name), relative: name }));
}

/**
 * The files that paths, folders and patterns give, each once, in order. A path that exists is not a pattern, whatever its characters. Links to folders
 * are followed; a file that is also under a folder of its own has its path there.
 *
 * @param outputs - folders of outputs, whose files are no inputs
 * @throws TokenLearnerError ERR_FILE_IO for what gives no file, and for a folder that cannot be read; a UsageError for what is no pattern.
 */
export async function inputFiles(
  inputs: readonly string[],
  outputs: readonly string[],
): Promise<InputFile[]> {
  const except = new Set(await Promise.all(outputs.map((each) => realpath(each).catch(() => each))));
  const files = new Map<string, InputFile>();
  for (const input of inputs) {
    for (const file of await filesOf(input, except)) {
      const real = await reading(file.path, realpath(file.path));
      if (!files.has(real)) files.set(real, file);
    }
  }
  return [...files.values()];
}
