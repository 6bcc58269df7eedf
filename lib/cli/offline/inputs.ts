/** From what `--input` names to the list of files. */
import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { TokenLearnerError } from '../../errors';
import { isPattern, parseGlob } from './glob';

/** The endings of the files that a folder or pattern gives. */
const ARRAYS = /\.(?:npy|npz|safetensors)$/i;

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

/** The visible files under a folder, by their paths from there. Does not follow links to folders, nor enter `except`. */
async function* filesUnder(folder: string, except: ReadonlySet<string>, under = ''): AsyncGenerator<string> {
  const here = path.join(folder, under);
  if (except.has(await realpath(here))) return;
  const entries = await readdir(here, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith('.')) continue;
    const name = under === '' ? entry.name : `${under}/${entry.name}`;
    if (entry.isDirectory()) yield* filesUnder(folder, except, name);
    else if (entry.isFile() || (await isFolder(path.join(folder, name))) === false) yield name;
  }
}

function missing(input: string, what: string): TokenLearnerError {
  return new TokenLearnerError('ERR_FILE_IO', `--input ${input}: ${what}`);
}

async function filesOf(input: string, except: ReadonlySet<string>): Promise<InputFile[]> {
  const isDirectory = await isFolder(input);
  if (isDirectory === false) return [{ path: input, relative: path.basename(input) }];
  if (isDirectory === undefined && !isPattern(input)) throw missing(input, 'there is no such file or folder');
  const { folder, matches } = isDirectory === true ? { folder: input, matches: ARRAYS } : parseGlob(input);
  if ((await isFolder(folder)) !== true) throw missing(input, `there is no folder ${folder}`);
  const found: InputFile[] = [];
  for await (const name of filesUnder(folder, except))
    if (matches.test(name) && ARRAYS.test(name))
      found.push({ path: path.join(folder, name), relative: name });
  if (found.length === 0) throw missing(input, 'it gives no .npy, .npz or .safetensors file');
  return found;
}

/**
 * The files that paths, folders and patterns give, each once, in order. A path that exists is not a pattern, whatever its characters.
 *
 * @param outputs - folders of outputs, whose files are no inputs
 * @throws TokenLearnerError ERR_FILE_IO for what gives no file.
 */
export async function inputFiles(
  inputs: readonly string[],
  outputs: readonly string[],
): Promise<InputFile[]> {
  const except = new Set(await Promise.all(outputs.map((each) => realpath(each).catch(() => each))));
  const files = new Map<string, InputFile>();
  for (const input of inputs) {
    for (const file of await filesOf(input, except)) {
      const real = await realpath(file.path);
      if (!files.has(real)) files.set(real, file);
    }
  }
  return [...files.values()];
}
