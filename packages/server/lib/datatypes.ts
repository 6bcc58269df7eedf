/** The protocol's names of element types. */
import type { AnyTensor, DType, TypedArray } from 'tokenlearner';

interface Datatype {
  readonly dtype: DType;
  /** Bytes of one element. */
  readonly size: number;
  /** A typed array that {@link AnyTensor.copyTo} fills. */
  readonly array: new (length: number) => TypedArray;
}

const DATATYPES: ReadonlyMap<string, Datatype> = new Map<string, Datatype>([
  ['FP32', { dtype: 'float32', size: 4, array: Float32Array }],
  ['FP64', { dtype: 'float64', size: 8, array: Float64Array }],
  ['FP16', { dtype: 'float16', size: 2, array: Uint16Array }],
  ['BF16', { dtype: 'bfloat16', size: 2, array: Uint16Array }],
  ['INT32', { dtype: 'int32', size: 4, array: Int32Array }],
  ['INT64', { dtype: 'int64', size: 8, array: BigInt64Array }],
  ['UINT8', { dtype: 'uint8', size: 1, array: Uint8Array }],
  ['BOOL', { dtype: 'bool', size: 1, array: Uint8Array }],
]);

/** In bytes. */
const SMALL = 32_768;

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

/**
 * A tensor's elements, row by row. Small ones are copied: to show JavaScript native memory costs more than that, and again when it is
 * collected.
 */
export function elementsOf(tensor: AnyTensor): Buffer {
  const datatype = DATATYPES.get(datatypeOf(tensor.dtype));
  if (datatype === undefined || tensor.byteLength > SMALL) return bytesOf(tensor.data);
  const target = new datatype.array(tensor.numel);
  return bytesOf(tensor.copyTo(target as never));
}

/** The dtype of a datatype that {@link datatypeOf} gave. */
export function dtypeOf(datatype: string): DType {
  const found = DATATYPES.get(datatype);
  if (found === undefined) throw new TypeError(`There is no datatype ${datatype}`);
  return found.dtype;
}
