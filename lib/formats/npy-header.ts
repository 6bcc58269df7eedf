import { isUtf8 } from 'node:buffer';

import type { DType } from '../dtype';
import { formatShape, MAX_DIMENSIONS } from '../shape';
import { HOST_ORDER, type ByteOrder } from './elements';
import { quote, type Fail } from './format-error';
import { npyDtype, npyDtypeName } from './npy-dtypes';
import { LiteralParser, type Literal } from './npy-literal';

/** NumPy's own limit on the header's text, in bytes. It also bounds the memory of the text's literals. */
const MAX_HEADER_BYTES = 10_000;
/** A header lies within this many bytes from the beginning of a file. */
export const MAX_START_BYTES = 12 + MAX_HEADER_BYTES;
const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
const ALIGNMENT = 64;
/** NumPy pads the header so that the first dimension can grow to 21 digits. */
const GROWTH_DIGITS = 21;

/** The content of an npy header. */
export interface NpyHeader {
  dtype: DType;
  order: ByteOrder;
  fortranOrder: boolean;
  shape: number[];
  /** The position of the first element, in bytes from the start of the file. */
  dataStart: number;
}

/** The parts of a `descr`. */
function partsOf(descr: string): { mark: string; code: string } {
  const [, mark = '', code = ''] = /^([<>|=]?)([^]*)$/.exec(descr) ?? [];
  return { mark, code };
}

function readDescr(descr: Literal | undefined, fail: Fail): { dtype: DType; order: ByteOrder } {
  if (typeof descr === 'object' && descr !== null) throw fail('structured dtypes are not supported');
  if (typeof descr !== 'string') throw fail("the header has no string 'descr'");
  const { mark, code } = partsOf(descr);
  const dtype = npyDtype(code, descr, fail);
  if (mark === '<' || mark === '>') return { dtype, order: mark === '>' ? 'big' : 'little' };
  return { dtype, order: HOST_ORDER };
}

function readShape(shape: Literal | undefined, fail: Fail): number[] {
  if (typeof shape !== 'object' || shape?.kind !== 'tuple') throw fail("the header has no tuple 'shape'");
  if (shape.items.length > MAX_DIMENSIONS)
    throw fail(`${shape.items.length} dimensions are over the limit of ${MAX_DIMENSIONS}`);
  return shape.items.map((size) => {
    if (typeof size === 'number' && Number.isSafeInteger(size) && size >= 0) return size;
    throw fail("'shape' holds something other than integers from 0 to 2^53 - 1");
  });
}

/** Finds the header's text and its encoding, which depend on the version of the format. */
function locateText(
  bytes: Uint8Array,
  fileSize: number,
  fail: Fail,
): { start: number; end: number; encoding: 'latin1' | 'utf-8' } {
  if (bytes.byteLength < 10 || !MAGIC.equals(bytes.subarray(0, MAGIC.length))) {
    throw fail('not an npy file: it does not begin with \\x93NUMPY and a version');
  }
  const [major = 0, minor = 0] = bytes.subarray(MAGIC.length, MAGIC.length + 2);
  if (major < 1 || major > 3 || minor !== 0)
    throw fail(`version ${major}.${minor} is not supported (1.0 to 3.0 are)`);
  const start = major === 1 ? 10 : 12;
  if (bytes.byteLength < start) throw fail("truncated: the header's length is cut off");
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER_BYTES)
    throw fail(`a header of ${length} bytes is over the limit of ${MAX_HEADER_BYTES}`);
  const end = start + length;
  if (end > bytes.byteLength) throw fail(`truncated: the header ends at byte ${end} of ${fileSize}`);
  return { start, end, encoding: major === 3 ? 'utf-8' : 'latin1' };
}

function checkEncoding(bytes: Uint8Array, encoding: 'latin1' | 'utf-8', fail: Fail): void {
  if (encoding === 'utf-8' && !isUtf8(bytes)) throw fail('the header is not valid UTF-8');
}

/** A header whose dtype tensors may not have. */
interface RawHeader extends Omit<NpyHeader, 'dtype' | 'order'> {
  descr: Literal | undefined;
}

function parseRawHeader(bytes: Uint8Array, fileSize: number, fail: Fail): RawHeader {
  const { start, end, encoding } = locateText(bytes, fileSize, fail);
  const text = bytes.subarray(start, end);
  checkEncoding(text, encoding, fail);
  const dict = new LiteralParser(text, encoding, fail).parseDict();
  const keys = [...dict.keys()].sort();
  if (keys.join() !== 'descr,fortran_order,shape') {
    throw fail(
      `the header has the keys ${keys.map(quote).join(', ') || '(none)'} instead of descr, fortran_order, shape`,
    );
  }
  const fortranOrder = dict.get('fortran_order');
  if (typeof fortranOrder !== 'boolean') throw fail("'fortran_order' is neither True nor False");
  return {
    descr: dict.get('descr'),
    fortranOrder,
    shape: readShape(dict.get('shape'), fail),
    dataStart: end,
  };
}

/** Parses the header in the first {@link MAX_START_BYTES} of a file, or in all of a shorter file. */
export function parseNpyHeader(bytes: Uint8Array, fileSize: number, fail: Fail): NpyHeader {
  const { descr, ...rest } = parseRawHeader(bytes, fileSize, fail);
  return { ...readDescr(descr, fail), ...rest };
}

/** The shape, and the dtype's name, which tensors may not have. Reads what {@link parseNpyHeader} does. */
export function describeNpyHeader(
  bytes: Uint8Array,
  fileSize: number,
  fail: Fail,
): { dtype: string; shape: number[] } {
  const { descr, shape } = parseRawHeader(bytes, fileSize, fail);
  if (typeof descr === 'string') return { dtype: npyDtypeName(partsOf(descr).code), shape };
  const isStructured = typeof descr === 'object' && descr !== null;
  return { dtype: isStructured ? 'structured' : readDescr(descr, fail).dtype, shape };
}

/** Makes a version 1.0 header as numpy.save writes it, for C order. */
export function npyHeader(descr: string, shape: readonly number[]): Buffer {
  const dict = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${formatShape(shape)}, }`;
  const growth = shape.length === 0 ? 0 : GROWTH_DIGITS - String(shape[0]).length;
  const used = 10 + dict.length + growth + 1;
  const total = used + ALIGNMENT - (used % ALIGNMENT);
  const header = Buffer.alloc(total, ' ');
  MAGIC.copy(header);
  header.writeUInt8(1, 6);
  header.writeUInt8(0, 7);
  header.writeUInt16LE(total - 10, 8);
  header.write(dict, 10, 'latin1');
  header.write('\n', total - 1, 'latin1');
  return header;
}
