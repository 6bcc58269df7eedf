/** flax's msgpack format (flax.serialization.to_bytes): nested maps in MessagePack, with arrays in an extension type. */
import { isDType } from '../dtype';
import { emptyEntries, type ArrayEntries } from './array-entry';
import { bytesSource, fileSource, type ByteSource } from './byte-source';
import { checkBytes, checkPath, withFile } from './file-io';
import { tensorNamed } from './file-shape';
import { passes, type NameFilter } from './filter';
import { type FlaxArray, itemSizeOf, readFlaxTree } from './flax-tree';
import { formatErrors, type Fail } from './format-error';
import { Pace } from './pace';
import { allocateInJavaScript, readElements, readWidened, type Allocate } from './read-elements';
import { wideningOf } from './widening';

/** How to read a file. */
export interface ReadFlaxOptions {
  /** Returns true for the names of the arrays to read. Undefined reads all. */
  filter: NameFilter | undefined;
  /** Allocates the memory for each array. */
  allocate: Allocate;
}

const READ_ALL: ReadFlaxOptions = { filter: undefined, allocate: allocateInJavaScript };

/** Reads an array's elements, part by part, into one memory. */
class FlaxElements {
  readonly #source: ByteSource;
  readonly #allocate: Allocate;
  readonly #fail: Fail;
  readonly #pace = new Pace();

  constructor(source: ByteSource, allocate: Allocate, fail: Fail) {
    this.#source = source;
    this.#allocate = allocate;
    this.#fail = fail;
  }

  async read(name: string, { dtype: given, shape, parts }: FlaxArray) {
    const widening = isDType(given) ? undefined : wideningOf(given);
    const dtype = isDType(given) ? given : widening?.dtype;
    const itemSize = itemSizeOf(given);
    const what = tensorNamed(name);
    if (dtype === undefined || itemSize === undefined)
      throw this.#fail(`${what} has dtype ${given}, which is not supported; leave it out with \`filter\``);
    const data = this.#allocate(name, dtype, shape);
    let done = 0;
    for (const { position, byteLength } of parts) {
      const target = data.subarray(done, done + byteLength / itemSize);
      if (widening === undefined)
        await readElements(this.#source, target, { dtype, order: 'little', position }, this.#pace);
      else
        await readWidened(this.#source, target, position, { widening, what, fail: this.#fail }, this.#pace);
      done += target.length;
    }
    await this.#pace.pause();
    return { dtype, shape, data };
  }
}

/**
 * Reads a flax state from any source: the arrays that the filter accepts, by the keys of the nested maps, joined by slashes. NumPy scalars have no
 * dimensions; arrays that flax has split are whole. Python's own values (numbers, texts, None) are left out.
 *
 * @param name - names the source in error messages
 * @throws TokenLearnerError ERR_FILE_FORMAT (also for an array that the filter accepts, of an unsupported dtype); ERR_OUT_OF_MEMORY;
 * ERR_INVALID_ARG_TYPE if the filter returns no boolean.
 */
export async function readFlaxFrom(
  source: ByteSource,
  name: string,
  { filter, allocate }: ReadFlaxOptions = READ_ALL,
): Promise<ArrayEntries> {
  const fail = formatErrors(name);
  const arrays = await readFlaxTree(source, fail);
  const elements = new FlaxElements(source, allocate, fail);
  const entries = emptyEntries();
  for (const [array, described] of arrays)
    if (passes(filter, array)) entries[array] = await elements.read(array, described);
  return entries;
}

/** As {@link readFlaxFrom}, from a file; also ERR_INVALID_ARG_TYPE and ERR_INVALID_ARG_VALUE for the path. */
export async function readFlax(path: string): Promise<ArrayEntries> {
  checkPath(path);
  return withFile(path, (handle, size) => readFlaxFrom(fileSource(handle, size, path), path));
}

/** As {@link readFlaxFrom}, from memory. */
export async function parseFlax(bytes: Uint8Array, source = 'flax data'): Promise<ArrayEntries> {
  return readFlaxFrom(bytesSource(checkBytes(bytes), source), source);
}
