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
  /** Those in folders of outputs. */
  readonly leftOut: string[] = [];
  readonly #glob: Glob;
  readonly #outputs: ReadonlySet<string>;
  readonly #links: { name: string; above: readonly string[]; files: string[] }[] = [];

  /** @param outputs - folders of outputs, without links */
  constructor(glob: Glob, outputs: ReadonlySet<string>) {
    this.#glob = glob;
    this.#outputs = outputs;
  }

  async run(): Promise<this> {
    await this.#enter('', [], this.files);
    // Grows while it runs.
    for (const { name, above, files } of this.#links) await this.#enter(name, above, files);
    return this;
  }

  /**
   * @param above - the folders on the way, without links: a link back to one of them would go round in circles
   * @param outer - where the files of the folder above go
   */
  async #enter(name: string, above: readonly string[], outer: string[]): Promise<void> {
    const here = path.join(this.#glob.folder, name);
    const real = await reading(here, realpath(here));
    if (above.includes(real)) return;
    // The folder that the walk begins in was named as an input, though it may be one of outputs too.
    const files = above.length > 0 && this.#outputs.has(real) ? this.leftOut : outer;
    const way = [...above, real];
    for (const entry of await entriesOf(here)) {
      if (entry.name.startsWith('.')) continue;
      const inner = name === '' ? entry.name : `${name}/${entry.name}`;
      const folder =
        entry.isDirectory() || (!entry.isFile() && (await isFolder(path.join(here, entry.name))));
      if (folder === false) files.push(inner);
      else if (folder === undefined || !this.#glob.enters.test(inner)) continue;
      else if (entry.isDirectory()) await this.#enter(inner, way, files);
      else this.#links.push({ name: inner, above: way, files });
    }
  }
}

function missing(input: string, what: string): TokenLearnerError {
  return new TokenLearnerError('ERR_FILE_IO', `--input ${input}: ${what}`);
}

/** What a path, folder or pattern gives. */
interface Found {
  files: InputFile[];
  /** Those in folders of outputs, which are no inputs. */
  leftOut: InputFile[];
}

async function filesOf(input: string, outputs: ReadonlySet<string>): Promise<Found> {
  const isDirectory = await isFolder(input);
  if (isDirectory === false) return { files: [{ path: input, relative: path.basename(input) }], leftOut: [] };
  if (isDirectory === undefined && !isPattern(input)) throw missing(input, 'there is no such file or folder');
  const glob = isDirectory === true ? { folder: input, matches: ALL, enters: ALL } : parseGlob(input);
  const { folder, matches } = glob;
  if ((await isFolder(folder)) !== true) throw missing(input, `there is no folder ${folder}`);
  const walk = await new Walk(glob, outputs).run();
  const found = (names: readonly string[]): InputFile[] =>
    names
      .filter((name) => matches.test(name) && ARRAYS.test(name))
      .map((name) => ({ path: path.join(folder, name), relative: name }));
  const [files, leftOut] = [found(walk.files), found(walk.leftOut)];
  if (files.length > 0) return { files, leftOut };
  const others = leftOut.length === 0 ? '' : `, but for ${leftOut.length} in folders of outputs`;
  throw missing(input, `it gives no .npy, .npz or .safetensors file${others}`);
}

/** The same text for all paths of a file. A file that is gone, or whose name is no text, keeps its path: it fails alone when it is read. */
function identityOf({ path: file }: InputFile): Promise<string> {
  return realpath(file).catch(() => path.resolve(file));
}

/**
 * The files that paths, folders and patterns give, each once, in order. A path that exists is not a pattern, whatever its characters. Links to folders
 * are followed; a file that is also under a folder of its own has its path there.
 *
 * @param outputs - folders of outputs, whose files are no inputs, unless a path or pattern begins there
 * @returns the files, and how many were left out
 * @throws TokenLearnerError ERR_FILE_IO for what gives no file, and for a folder that cannot be read; a UsageError for what is no pattern.
 */
export async function inputFiles(
  inputs: readonly string[],
  outputs: readonly string[],
): Promise<{ files: InputFile[]; leftOut: number }> {
  const folders = new Set(await Promise.all(outputs.map((each) => realpath(each).catch(() => each))));
  const files = new Map<string, InputFile>();
  const others = new Set<string>();
  for (const input of inputs) {
    const found = await filesOf(input, folders);
    for (const file of found.files) {
      const identity = await identityOf(file);
      if (!files.has(identity)) files.set(identity, file);
    }
    for (const file of found.leftOut) others.add(await identityOf(file));
  }
  const leftOut = [...others].filter((identity) => !files.has(identity)).length;
  return { files: [...files.values()], leftOut };
}
