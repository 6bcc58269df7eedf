/**
 * PyTorch's dtypes that our tensors do not have, but that can be read as a wider dtype. It holds each of their values exactly:
 * int32 for int8, int16 and uint16; int64 for uint32 and uint64; float32 for the 8-bit floats.
 */
import type { DType, TypedArray } from '../dtype';
import { allocateElements } from './elements';
import type { Fail } from './format-error';
import { Pace } from './pace';
import { FLOAT8 } from './small-floats';

/** Elements between two checks of the clock: a fraction of a millisecond of work. */
const ELEMENTS_PER_STEP = 2 ** 14;
const INT64_MAX = 2n ** 63n - 1n;

/** The typed arrays for elements as they are in a file. */
export type RawArray =
  | TypedArray
  | Int8Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>;

/** How to read the elements of a dtype, and the dtype that they are converted to. */
export interface Widening {
  /** The dtype that they are converted to. */
  readonly dtype: DType;
  /** One of our dtypes whose elements have the same size as those in the file. */
  readonly sizedAs: DType;
  /** The typed array for the elements in the file. */
  readonly raw: new (buffer: ArrayBuffer, byteOffset?: number, length?: number) => RawArray;
  /** The value of each byte, for 8-bit floats; undefined for integers. */
  readonly table: (() => Float32Array) | undefined;
}

/** Makes the table of an 8-bit float's 256 values at its first use. */
function float8(value: (bits: number) => number): Widening {
  let table: Float32Array | undefined;
  return {
    dtype: 'float32',
    sizedAs: 'uint8',
    raw: Uint8Array,
    table: () => (table ??= Float32Array.from({ length: 256 }, (_, bits) => value(bits))),
  };
}

function integer(dtype: DType, sizedAs: DType, raw: Widening['raw']): Widening {
  return { dtype, sizedAs, raw, table: undefined };
}

const WIDENINGS: ReadonlyMap<string, Widening> = new Map<string, Widening>([
  ['int8', integer('int32', 'uint8', Int8Array)],
  ['int16', integer('int32', 'float16', Int16Array)],
  ['uint16', integer('int32', 'float16', Uint16Array)],
  ['uint32', integer('int64', 'int32', Uint32Array)],
  ['uint64', integer('int64', 'int64', BigUint64Array)],
  ...[...FLOAT8].map(([name, value]): [string, Widening] => [name, float8(value)]),
]);

/** The widening of the dtype with that name (PyTorch's); undefined for our own dtypes and for unsupported ones. */
export function wideningOf(name: string): Widening | undefined {
  return WIDENINGS.get(name);
}

/** Returns the conversion of one element. */
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
    if (wide > INT64_MAX) throw fail(`${what} holds ${wide}, which does not fit int64`);
    return wide;
  };
}

/**
 * Converts the elements of `raw` to the wider dtype, in slices of a few milliseconds.
 *
 * @param what - names the tensor in messages
 * @throws TokenLearnerError ERR_OUT_OF_MEMORY; ERR_FILE_FORMAT if a uint64 is over 2^63 - 1.
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
