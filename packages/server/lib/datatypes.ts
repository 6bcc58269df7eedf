/** The protocol's names of element types. */
import type { DType, TypedArray } from 'tokenlearner';

interface Datatype {
  readonly dtype: DType;
  /** Bytes of one element. */
  readonly size: number;
}

const DATATYPES: ReadonlyMap<string, Datatype> = new Map<string, Datatype>([
  ['FP32', { dtype: 'float32', size: 4 }],
  ['FP64', { dtype: 'float64', size: 8 }],
  ['FP16', { dtype: 'float16', size: 2 }],
  ['BF16', { dtype: 'bfloat16', size: 2 }],
  ['INT32', { dtype: 'int32', size: 4 }],
  ['INT64', { dtype: 'int64', size: 8 }],
  ['UINT8', { dtype: 'uint8', size: 1 }],
  ['BOOL', { dtype: 'bool', size: 1 }],
]);

const BY_DTYPE = new Map([...DATATYPES].map(([name, { dtype }]) => [dtype, name]));

/** The protocol's name of a dtype, such as FP32. */
export function datatypeOf(dtype: DType): string {
  const name = BY_DTYPE.get(dtype);
  if (name === undefined) throw new TypeError(`The protocol has no datatype for ${dtype}`);
  return name;
}

/** The bytes of one element of a datatype that {@link datatypeOf} gave. */
export function elementSize(datatype: string): number {
  return DATATYPES.get(datatype)?.size ?? 0;
}

/** The bytes of a typed array, without a copy. */
export function bytesOf(array: TypedArray): Buffer {
  return Buffer.from(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);
}

/** The dtype of a datatype that {@link datatypeOf} gave. */
export function dtypeOf(datatype: string): DType {
  const found = DATATYPES.get(datatype);
  if (found === undefined) throw new TypeError(`There is no datatype ${datatype}`);
  return found.dtype;
}
