import { dtypeInfo, type DType } from '../dtype';
import { elementCount } from './elements';
import { quote, type Fail } from './format-error';
import { HeaderParser, type HeaderValue } from './safetensors-json';

/** The format's own limit on the header, in bytes. */
export const MAX_HEADER_BYTES = 100_000_000;

/** The key that holds the metadata; no tensor can have this name. */
export const METADATA_KEY = '__metadata__';

/** One tensor's place: `begin` and `end` are in bytes from the first byte after the header. */
export interface TensorPlace {
  name: string;
  dtype: DType;
  shape: number[];
  begin: number;
  end: number;
}

/** What a header says. `tensors` are in the order of their bytes. */
export interface SafetensorsHeader {
  tensors: TensorPlace[];
  metadata: Record<string, string>;
}

/** The format's names of the dtypes, in ascending order of the alignment by which files are laid out. */
export const FORMAT_DTYPES: readonly (readonly [name: string, dtype: DType])[] = [
  ['BOOL', 'bool'],
  ['U8', 'uint8'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I32', 'int32'],
  ['F32', 'float32'],
  ['F64', 'float64'],
  ['I64', 'int64'],
];

const DTYPE_BY_NAME: ReadonlyMap<string, DType> = new Map(FORMAT_DTYPES);

function decodeHeader(bytes: Uint8Array, fail: Fail): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw fail('the header is not valid UTF-8', cause);
  }
}

function readMetadata(value: HeaderValue | undefined, fail: Fail): Record<string, string> {
  const metadata = Object.create(null) as Record<string, string>;
  if (value === undefined) return metadata;
  if (!(value instanceof Map)) throw fail(`${METADATA_KEY} is not an object`);
  for (const [key, text] of value) {
    if (typeof text !== 'string')
      throw fail(`${METADATA_KEY} has a value for ${quote(key)} that is not a string`);
    metadata[key] = text;
  }
  return metadata;
}

function isSizeArray(value: HeaderValue | undefined): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
}

function readPlace(name: string, value: HeaderValue, fail: Fail): TensorPlace {
  const what = `tensor ${quote(name)}`;
  if (!(value instanceof Map)) throw fail(`${what} is not described by an object`);
  const formatDtype = value.get('dtype');
  if (typeof formatDtype !== 'string') throw fail(`${what} has no dtype`);
  const dtype = DTYPE_BY_NAME.get(formatDtype);
  if (dtype === undefined) {
    const known = FORMAT_DTYPES.map(([known]) => known).join(', ');
    throw fail(`${what} has dtype ${quote(formatDtype)}, which is not supported (${known} are)`);
  }
  const shape = value.get('shape');
  if (!isSizeArray(shape)) throw fail(`${what} has no shape of integers from 0 to 2^53 - 1`);
  const offsets = value.get('data_offsets');
  if (!isSizeArray(offsets) || offsets.length !== 2)
    throw fail(`${what} has no data_offsets of two integers`);
  const [begin = 0, end = 0] = offsets;
  return { name, dtype, shape, begin, end };
}

/** Sizes must be those of the shapes, and the tensors lie one after the other over the whole of the data. */
function checkLayout(tensors: readonly TensorPlace[], dataBytes: number, fail: Fail): void {
  let expected = 0;
  for (const { name, dtype, shape, begin, end } of tensors) {
    const what = `tensor ${quote(name)} has data_offsets [${begin}, ${end}]`;
    if (end < begin) throw fail(`${what}: it ends before it begins`);
    if (end > dataBytes) throw fail(`${what}, but the file holds ${dataBytes} bytes of data`);
    if (begin < expected) throw fail(`${what}: it overlaps the tensor before it, which ends at ${expected}`);
    if (begin > expected) throw fail(`${what}: nothing describes the bytes from ${expected} on`);
    const bytes = elementCount(shape) * dtypeInfo(dtype).itemSize;
    if (!Number.isSafeInteger(bytes))
      throw fail(`tensor ${quote(name)} has too large a shape [${shape.join(', ')}]`);
    if (bytes !== end - begin) {
      throw fail(`${what}: ${end - begin} bytes, but ${dtype} of shape [${shape.join(', ')}] takes ${bytes}`);
    }
    expected = end;
  }
  if (expected !== dataBytes) throw fail(`the tensors end at byte ${expected} of ${dataBytes} bytes of data`);
}

/** Parses and validates a header against the number of bytes that follow it. */
export function parseHeader(bytes: Uint8Array, dataBytes: number, fail: Fail): SafetensorsHeader {
  const text = decodeHeader(bytes, fail);
  if (!text.startsWith('{')) throw fail("the header does not begin with '{'");
  const header = new HeaderParser(text, fail).parse() as Map<string, HeaderValue>;
  const metadata = readMetadata(header.get(METADATA_KEY), fail);
  header.delete(METADATA_KEY);
  const tensors = Array.from(header, ([name, value]) => readPlace(name, value, fail));
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkLayout(tensors, dataBytes, fail);
  return { tensors, metadata };
}
