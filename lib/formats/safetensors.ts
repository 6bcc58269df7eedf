/**
 * The safetensors format: an 8-byte little-endian length, a JSON header of that length, and the tensors' bytes.
 * Reading enforces both the specification of the format and the checks of its reference implementation.
 */
import { emptyEntries, type ArrayEntries } from './array-entry';
import { bytesSource, fileSource, type ByteSource } from './byte-source';
import { allocateBytes, checkBytes, checkPath, withFile } from './file-io';
import { tensorNamed } from './file-shape';
import { type NameFilter, passes } from './filter';
import { formatErrors, type Fail } from './format-error';
import { Pace } from './pace';
import { allocateInJavaScript, readBytes, readElements, readWidened, type Allocate } from './read-elements';
import type { ReadAs } from './safetensors-dtypes';
import {
  MAX_HEADER_BYTES,
  parseHeader,
  howToRead,
  type SafetensorsHeader,
  type TensorPlace,
} from './safetensors-header';

const LENGTH_BYTES = 8;

/** The content of a safetensors file. */
export interface SafetensorsContent {
  /** The tensors that were asked for, in the order of their bytes in the file. */
  entries: ArrayEntries;
  /** The free-form strings of `__metadata__`. */
  metadata: Record<string, string>;
}

/** How to read a file. */
export interface ReadSafetensorsOptions {
  /** Returns true for the names of the tensors to read. Undefined reads all. */
  filter: NameFilter | undefined;
  /** Allocates the memory for each array. */
  allocate: Allocate;
}

/** Reads everything into JavaScript's own memory. */
const READ_ALL: ReadSafetensorsOptions = { filter: undefined, allocate: allocateInJavaScript };

async function readHeaderBytes(
  source: ByteSource,
  name: string,
  fail: Fail,
  pace: Pace,
): Promise<Uint8Array> {
  if (source.size < LENGTH_BYTES)
    throw fail(`truncated: ${source.size} bytes cannot hold the 8 bytes of the header's length`);
  const length = Buffer.alloc(LENGTH_BYTES);
  await source.read(length, 0);
  const headerBytes = length.readBigUInt64LE();
  if (headerBytes > MAX_HEADER_BYTES)
    throw fail(`a header of ${headerBytes.toString()} bytes is over the limit of ${MAX_HEADER_BYTES}`);
  const end = LENGTH_BYTES + Number(headerBytes);
  if (end > source.size) throw fail(`truncated: the header ends at byte ${end} of ${source.size}`);
  const bytes = allocateBytes(Number(headerBytes), name);
  await readBytes(source, bytes, LENGTH_BYTES, pace);
  return bytes;
}

/**
 * Reads safetensors from any source: the header, and the tensors that the filter accepts, each directly into its memory.
 *
 * @param name - names the source in error messages
 * @throws TokenLearnerError ERR_FILE_FORMAT (also for a tensor that the filter accepts, of an unsupported dtype);
 * ERR_OUT_OF_MEMORY; ERR_INVALID_ARG_TYPE if the filter returns no boolean.
 */
export async function readSafetensorsFrom(
  source: ByteSource,
  name: string,
  { filter, allocate }: ReadSafetensorsOptions = READ_ALL,
): Promise<SafetensorsContent> {
  const fail = formatErrors(name);
  const pace = new Pace();
  const header = await readHeaderBytes(source, name, fail, pace);
  const dataStart = LENGTH_BYTES + header.byteLength;
  const { tensors, metadata } = await parseHeader(header, source.size - dataStart, fail, pace);
  const chosen: [TensorPlace, ReadAs][] = [];
  for (const place of tensors) {
    if (passes(filter, place.name)) chosen.push([place, howToRead(place, fail)]);
    await pace.pause();
  }
  const entries = emptyEntries();
  for (const [{ name: tensor, shape, begin }, { dtype, widening }] of chosen) {
    const data = allocate(tensor, dtype, shape);
    const position = dataStart + begin;
    if (widening === undefined) await readElements(source, data, { dtype, order: 'little', position }, pace);
    else await readWidened(source, data, position, { widening, what: tensorNamed(tensor), fail }, pace);
    entries[tensor] = { dtype, shape, data };
    await pace.pause();
  }
  return { entries, metadata };
}

/** Reads the header alone: the places of all tensors, in the order of their bytes, and the metadata. */
export async function listSafetensors(source: ByteSource, name: string): Promise<SafetensorsHeader> {
  const fail = formatErrors(name);
  const pace = new Pace();
  const header = await readHeaderBytes(source, name, fail, pace);
  return parseHeader(header, source.size - LENGTH_BYTES - header.byteLength, fail, pace);
}

/** As {@link readSafetensorsFrom}, from a file; also ERR_INVALID_ARG_TYPE and ERR_INVALID_ARG_VALUE for the path. */
export async function readSafetensors(path: string): Promise<SafetensorsContent> {
  checkPath(path);
  return withFile(path, (handle, size) => readSafetensorsFrom(fileSource(handle, size, path), path));
}

/** As {@link readSafetensorsFrom}, from memory. */
export async function parseSafetensors(
  bytes: Uint8Array,
  source = 'safetensors data',
  filter?: NameFilter,
): Promise<SafetensorsContent> {
  const options = { filter, allocate: allocateInJavaScript };
  return readSafetensorsFrom(bytesSource(checkBytes(bytes), source), source, options);
}
