/**
 * Dtypes of PyTorch that tensors here do not have, and that are read all the same, as the next dtype which holds each of their values exactly:
 * int8, int16 and uint16 as int32; uint32 and uint64 as int64; the 8-bit floats as float32.
 */
import type { DType, TypedArray } from '../dtype';
import { allocateElements } from './elements';
import type { Fail } from './format-error';
import { Pace } from './pace';

/** Elements between two looks at the clock: a fraction of a millisecond. */
const ELEMENTS_PER_STEP = 2 ** 14;
const INT64_MAX = 2n ** 63n - 1n;

/** The typed arrays in which elements lie in a file. */
export type RawArray =
  | TypedArray
  | Int8Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>;

/** How the elements of a dtype lie in a file, and what they become. */
export interface Widening {
  /** The dtype that they become. */
  readonly dtype: DType;
  /** One of our dtypes with elements of the same size as those in the file. */
  readonly sizedAs: DType;
  /** The typed array that holds them as they are. */
  readonly raw: new (buffer: ArrayBuffer, byteOffset?: number, length?: number) => RawArray;
  /** The value of each byte, where the elements are 8-bit floats. */
  readonly table?: () => Float32Array;
}

/** An 8-bit float's layout. `special` gives NaN or an infinity, where the bits below the sign stand for one. */
interface Float8 {
  mantissaBits: number;
  bias: number;
  special: (byte: number) => number | undefined;
}

function decode(byte: number, { mantissaBits, bias, special }: Float8): number {
  const magnitude = byte & 0x7f;
  const named = special(byte);
  if (named !== undefined) return named;
  const exponent = magnitude >> mantissaBits;
  const fraction = (magnitude & ((1 << mantissaBits) - 1)) / 2 ** mantissaBits;
  const value = exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias);
  return byte > 0x7f ? -value : value;
}

/** A table of 256 values, made where it is first asked for. */
function tableOf(value: (byte: number) => number): () => Float32Array {
  let table: Float32Array | undefined;
  return () => (table ??= Float32Array.from({ length: 256 }, (_, byte) => value(byte)));
}

/** e5m2 has the infinities and NaNs of IEEE 754. */
function e5m2Special(byte: number): number | undefined {
  if ((byte & 0x7f) < 0x7c) return undefined;
  if ((byte & 0x7f) > 0x7c) return NaN;
  return byte > 0x7f ? -Infinity : Infinity;
}

/** "fnuz": finite, NaN where negative zero would be. */
const fnuzSpecial = (byte: number): number | undefined => (byte === 0x80 ? NaN : undefined);
/** "fn": finite, NaN where all bits below the sign are 1. */
const fnSpecial = (byte: number): number | undefined => ((byte & 0x7f) === 0x7f ? NaN : undefined);

function float8(format: Float8): Widening {
  return {
    dtype: 'float32',
    sizedAs: 'uint8',
    raw: Uint8Array,
    table: tableOf((byte) => decode(byte, format)),
  };
}

const WIDENINGS: ReadonlyMap<string, Widening> = new Map<string, Widening>([
  ['int8', { dtype: 'int32', sizedAs: 'uint8', raw: Int8Array }],
  ['int16', { dtype: 'int32', sizedAs: 'float16', raw: Int16Array }],
  ['uint16', { dtype: 'int32', sizedAs: 'float16', raw: Uint16Array }],
  ['uint32', { dtype: 'int64', sizedAs: 'int32', raw: Uint32Array }],
  ['uint64', { dtype: 'int64', sizedAs: 'int64', raw: BigUint64Array }],
  ['float8_e4m3fn', float8({ mantissaBits: 3, bias: 7, special: fnSpecial })],
  ['float8_e5m2', float8({ mantissaBits: 2, bias: 15, special: e5m2Special })],
  ['float8_e4m3fnuz', float8({ mantissaBits: 3, bias: 8, special: fnuzSpecial })],
  ['float8_e5m2fnuz', float8({ mantissaBits: 2, bias: 16, special: fnuzSpecial })],
  [
    'float8_e8m0fnu',
    {
      dtype: 'float32',
      sizedAs: 'uint8',
      raw: Uint8Array,
      table: tableOf((byte) => (byte === 0xff ? NaN : 2 ** (byte - 127))),
    },
  ],
]);

/** How a dtype of that name (PyTorch's) is read; undefined for our own dtypes and for those that are not read. */
export function wideningOf(name: string): Widening | undefined {
  return WIDENINGS.get(name);
}

/** The conversion of one element. */
function converter(
  { dtype, table }: Widening,
  what: string,
  fail: Fail,
): (value: number | bigint) => unknown {
  if (table !== undefined) {
    const values = table();
    return (value) => values[Number(value)];
  }
  if (dtype !== 'int64') return (value) => value;
  return (value) => {
    const wide = BigInt(value);
    if (wide > INT64_MAX) throw fail(`${what} holds ${wide}, which is no int64`);
    return wide;
  };
}

/**
 * The elements of `raw` as the wider dtype, in slices of some milliseconds.
 *
 * @param what - what messages call the tensor
 * @throws TokenLearnerError ERR_OUT_OF_MEMORY; ERR_FILE_FORMAT: a uint64 is over 2^63 - 1.
 */
export async function widen(
  raw: RawArray,
  widening: Widening,
  what: string,
  fail: Fail,
  pace = new Pace(),
): Promise<TypedArray> {
  const target = allocateElements(widening.dtype, raw.length);
  const source = raw as Record<number, number | bigint>;
  const convert = converter(widening, what, fail);
  for (let start = 0; start < raw.length; start += ELEMENTS_PER_STEP) {
    const end = Math.min(start + ELEMENTS_PER_STEP, raw.length);
    for (let i = start; i < end; i += 1) (target as Record<number, unknown>)[i] = convert(source[i] ?? 0);
    await pace.pause();
  }
  return target;
}
