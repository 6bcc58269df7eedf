import type { DTypeCode } from './native-interface';

/**
 * Element types of tensors. JavaScript sees bfloat16 as its bits, and bool as bytes of 0 and 1. It sees float16 as a
 * Float16Array, or as its bits where the host has no Float16Array.
 */
export type DType = 'float32' | 'float64' | 'float16' | 'bfloat16' | 'int32' | 'int64' | 'uint8' | 'bool';

/** Float16Array (if the compiler's library has it) or Uint16Array. */
export type Float16Elements =
  typeof globalThis extends Record<'Float16Array', new (length: number) => infer A>
    ? A | Uint16Array
    : Uint16Array;

/** The typed array of each dtype. */
export interface TypedArrays {
  /** 32-bit floats. */
  float32: Float32Array;
  /** 64-bit floats. */
  float64: Float64Array;
  /** IEEE binary16: a Float16Array if the host has it (Node 24 and later), otherwise its bits. */
  float16: Float16Elements;
  /** The upper half of a float32, as its bits. */
  bfloat16: Uint16Array;
  /** 32-bit integers. */
  int32: Int32Array;
  /** 64-bit integers. */
  int64: BigInt64Array;
  /** Bytes. */
  uint8: Uint8Array;
  /** 0 is false, 1 is true. */
  bool: Uint8Array;
}

/** The typed array that holds elements of `D`. */
export type TypedArrayFor<D extends DType> = TypedArrays[D];

/** Any typed array that can be a tensor's memory. */
export type TypedArray = TypedArrays[DType];

/** The dtype of a typed array if the caller gives none. */
export type DefaultDType<A extends TypedArray | Uint8ClampedArray> = A extends Float32Array
  ? 'float32'
  : A extends Float64Array
    ? 'float64'
    : A extends Int32Array
      ? 'int32'
      : A extends BigInt64Array
        ? 'int64'
        : A extends Float16Elements
          ? 'float16'
          : 'uint8';

/** The dtype of a sum: int64 for integers and bool. */
export type SumDType<D extends DType> = D extends 'int32' | 'uint8' | 'bool' ? 'int64' : D;

interface TypedArrayConstructor {
  readonly name: string;
  new (buffer: ArrayBuffer, byteOffset?: number, length?: number): TypedArray;
}

interface DTypeInfo {
  /** libtorch's ScalarType. */
  readonly code: DTypeCode;
  /** Bytes of one element. */
  readonly itemSize: number;
  /** The typed array of the elements; for 16-bit floats, of their bits. */
  readonly array: TypedArrayConstructor;
  readonly floating: boolean;
  /** The typed array that users see. */
  readonly shown: TypedArrayConstructor;
}

/** Read once at import, so that later changes to the global have no effect. */
const Float16 = (globalThis as { Float16Array?: TypedArrayConstructor }).Float16Array;

const TABLE: Readonly<Record<DType, DTypeInfo>> = {
  float32: { code: 6, itemSize: 4, array: Float32Array, floating: true, shown: Float32Array },
  float64: { code: 7, itemSize: 8, array: Float64Array, floating: true, shown: Float64Array },
  float16: { code: 5, itemSize: 2, array: Uint16Array, floating: true, shown: Float16 ?? Uint16Array },
  bfloat16: { code: 15, itemSize: 2, array: Uint16Array, floating: true, shown: Uint16Array },
  int32: { code: 3, itemSize: 4, array: Int32Array, floating: false, shown: Int32Array },
  int64: { code: 4, itemSize: 8, array: BigInt64Array, floating: false, shown: BigInt64Array },
  uint8: { code: 0, itemSize: 1, array: Uint8Array, floating: false, shown: Uint8Array },
  bool: { code: 11, itemSize: 1, array: Uint8Array, floating: false, shown: Uint8Array },
};

/** All dtypes. */
export const DTYPES: readonly DType[] = Object.freeze(Object.keys(TABLE) as DType[]);

const BY_CODE: ReadonlyMap<DTypeCode, DType> = new Map(DTYPES.map((dtype) => [TABLE[dtype].code, dtype]));

/** True if `value` is the name of a dtype. */
export function isDType(value: unknown): value is DType {
  return typeof value === 'string' && Object.hasOwn(TABLE, value);
}

/** The dtypes that modules can compute in. */
export type FloatDType = 'float32' | 'float64' | 'float16' | 'bfloat16';

/** True if modules can compute in `dtype`. */
export function isFloatDType(dtype: DType): dtype is FloatDType {
  return TABLE[dtype].floating;
}

/** The dtypes of {@link FloatDType}. */
export const FLOAT_DTYPES: readonly FloatDType[] = DTYPES.filter(isFloatDType);

/** libtorch's code, item size, typed array and kind of a dtype. */
export function dtypeInfo(dtype: DType): DTypeInfo {
  return TABLE[dtype];
}

/** True if typed arrays of this name ('Float32Array', ...) can hold elements of `dtype`. */
export function isArrayFor(arrayName: string | undefined, dtype: DType): boolean {
  const { array } = TABLE[dtype];
  return (
    arrayName === array.name ||
    (arrayName === 'Float16Array' && dtype === 'float16') ||
    (arrayName === 'Uint8ClampedArray' && array === Uint8Array)
  );
}

/** The dtype of a code from native code. */
export function dtypeFromCode(code: DTypeCode): DType {
  const found = BY_CODE.get(code);
  if (found === undefined) throw new RangeError(`There is no dtype of code ${code}`);
  return found;
}

/** The default dtype of a typed array of this name ('Float32Array', ...). Undefined if no dtype uses such arrays. */
export function defaultDType(arrayName: string): DType | undefined {
  return DTYPES.find((dtype) => isArrayFor(arrayName, dtype));
}
