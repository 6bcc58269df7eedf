import type { DType } from '../dtype';
import { wideningOf, type Widening } from './widening';

/** The format's names of our dtypes, in ascending order of the alignment that determines a file's layout. */
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

/** Bits per element of every dtype of the format. */
const BITS: ReadonlyMap<string, number> = new Map([
  ['F4', 4],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ['BOOL', 8],
  ['U8', 8],
  ['I8', 8],
  ['F8_E4M3', 8],
  ['F8_E5M2', 8],
  ['F8_E8M0', 8],
  ['F8_E4M3FNUZ', 8],
  ['F8_E5M2FNUZ', 8],
  ['I16', 16],
  ['U16', 16],
  ['F16', 16],
  ['BF16', 16],
  ['I32', 32],
  ['U32', 32],
  ['F32', 32],
  ['C64', 64],
  ['F64', 64],
  ['I64', 64],
  ['U64', 64],
]);

/** PyTorch's names of the dtypes that are converted to a wider one. */
const WIDENED: ReadonlyMap<string, string> = new Map([
  ['I8', 'int8'],
  ['I16', 'int16'],
  ['U16', 'uint16'],
  ['U32', 'uint32'],
  ['U64', 'uint64'],
  ['F8_E4M3', 'float8_e4m3fn'],
  ['F8_E5M2', 'float8_e5m2'],
  ['F8_E8M0', 'float8_e8m0fnu'],
  ['F8_E4M3FNUZ', 'float8_e4m3fnuz'],
  ['F8_E5M2FNUZ', 'float8_e5m2fnuz'],
]);

/** How to read a dtype: as one of ours, which may be wider than the file's. */
export interface ReadAs {
  dtype: DType;
  widening: Widening | undefined;
}

/** How to read the dtype with that name; undefined for an unsupported one. */
export function readAs(formatDtype: string): ReadAs | undefined {
  const dtype = DTYPE_BY_NAME.get(formatDtype);
  if (dtype !== undefined) return { dtype, widening: undefined };
  const widening = wideningOf(WIDENED.get(formatDtype) ?? '');
  return widening && { dtype: widening.dtype, widening };
}

/** The name of a dtype in messages: ours if we have that dtype, else the format's. */
export function dtypeName(formatDtype: string): string {
  return DTYPE_BY_NAME.get(formatDtype) ?? formatDtype;
}

/** Bits per element; undefined for an unknown dtype. */
export function bitsOf(formatDtype: string): number | undefined {
  return BITS.get(formatDtype);
}
