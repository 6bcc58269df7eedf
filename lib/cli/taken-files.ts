/** Which file a name means, and the refusal of results that would replace what a command reads. */
import { fstatSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';
import { identify } from '../formats/identify';
import { checkFilePath, withInput } from '../formats/input';
import { readIndex } from '../formats/safetensors-index';
import { isStandardOutput, STANDARD } from './output';
import { UsageError } from './usage-error';

const STDIN = 0;
/** Linux follows at most this many links, too. */
const MAX_LINKS = 40;

/** What tells one file from another, whatever its names. */
interface Status {
  dev: bigint;
  ino: bigint;
  isFile(): boolean;
}

function statusOf(read: () => Status): Status | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

const numbers = ({ dev, ino }: Status): string => `${dev}:${ino}`;

/** The place of a file that is not there yet: its folder and its name there. Links that lead nowhere are followed, as a writer does. */
function placeOf(file: string, links = MAX_LINKS): string {
  const folder = path.dirname(file);
  const status = statusOf(() => statSync(file, { bigint: true }));
  if (status !== undefined) return numbers(status);
  if (folder === file) return file;
  let target: string | undefined;
  try {
    target = readlinkSync(file);
  } catch {
    // Not a link.
  }
  if (target !== undefined && links > 0) return placeOf(path.resolve(folder, target), links - 1);
  return `${placeOf(folder, links)}/${path.basename(file)}`;
}

/** The same text for all names of one file, also of one that is not there yet. Undefined for what no result replaces: a pipe, a device. */
function identityOf(name: string): string | undefined {
  const file = checkFilePath(name);
  const status = statusOf(() => statSync(file, { bigint: true }));
  return status === undefined || status.isFile() ? placeOf(path.resolve(file)) : undefined;
}

/** The identity of a file that is read: `-` is the one on standard input, if it is a file. */
function identityOfInput(file: string): string | undefined {
  if (file !== STANDARD) return identityOf(file);
  const status = statusOf(() => fstatSync(STDIN, { bigint: true }));
  return status?.isFile() === true ? numbers(status) : undefined;
}

/** A file of weights, and the shards beside it if it is an index. Reads no pipe, and leaves errors to the loader. */
export async function filesOfWeights(file: string): Promise<string[]> {
  if (file === STANDARD || identityOf(file) === undefined) return [file];
  try {
    const shards = await withInput(file, async ({ source, name }) =>
      (await identify(source)).kind === 'json' ? [...(await readIndex(source, name)).keys()] : [],
    );
    return [file, ...shards];
  } catch {
    return [file];
  }
}

/** The files that a command reads, and its results: none of them may be lost. */
export class TakenFiles {
  readonly #taken = new Map<string, string>();

  /**
   * Adds files that the command reads.
   *
   * @param what - for messages, such as 'the file of --input'
   */
  reads(files: readonly string[], what: string): this {
    for (const file of files) {
      const identity = identityOfInput(file);
      if (identity !== undefined) this.#taken.set(identity, what);
    }
    return this;
  }

  /** Adds a result. Returns what it would replace, of that which was added before. Standard output takes several results. */
  claim(file: string, what: string): string | undefined {
    const identity = isStandardOutput(file) ? undefined : identityOf(file);
    if (identity === undefined) return undefined;
    const other = this.#taken.get(identity);
    this.#taken.set(identity, what);
    return other;
  }

  /** Adds the file of an option for a result. Throws a UsageError if it would replace what was added before. */
  writes(option: string, file: string | undefined): this {
    const other = file === undefined ? undefined : this.claim(file, `the file of ${option}`);
    if (other === undefined) return this;
    throw new UsageError(`${option} is ${other}, which it would replace`);
  }
}
