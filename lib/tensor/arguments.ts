/**
 * The checks of the arguments of Tensor's static methods.
 */
import { types } from 'node:util';
import { type Device, resolveDevice } from '../device';
import { defaultDType, type DType, dtypeInfo, DTYPES, isArrayFor, type TypedArray } from '../dtype';
import { TokenLearnerError } from '../errors';
import { checkShape, elementCount, formatShape, type Shape } from '../shape';
import {
  checkBoolean,
  checkInteger,
  checkOneOf,
  checkOptions,
  type IntegerRange,
  isPlainObject,
  unexpected,
} from '../validate';
import { fixedBytes, lengthOf, typedArrayName } from './typed-array';

/** Checks and resolves a caller's {@link TensorOptions}. */
export function tensorOptions(
  options: unknown,
  otherwise: DType = 'float32',
): { dtype: DType; device: Device; pinned: boolean } {
  const { dtype, device, pinned } = checkOptions('options', options, ['dtype', 'device', 'pinned']);
  return {
    dtype: dtype === undefined ? otherwise : checkOneOf('options.dtype', dtype, DTYPES),
    device: device === undefined ? 'cpu' : resolveDevice('options.device', device),
    pinned: checkBoolean('options.pinned', pinned ?? false),
  };
}

/**
 * The arguments of a function with up to `count` arguments before its options, so that options can follow any of them:
 * the arguments, undefined where there are none, and last the options.
 */
export function withOptions(given: readonly unknown[], count: number): unknown[] {
  const found = given.findIndex(isPlainObject);
  const at = found < 0 ? count : found;
  if (at > count || given.slice(at + 1).some((argument) => argument !== undefined))
    throw unexpected('ERR_INVALID_ARG_VALUE', 'options', 'nothing after it', given.at(-1));
  // at() reads no further than the array: an index on Array.prototype is not an argument.
  return [...Array.from({ length: count }, (_, i) => (i < at ? given.at(i) : undefined)), given.at(at)];
}

const INTEGERS: ReadonlyMap<DType, IntegerRange> = new Map([
  ['uint8', { min: 0, max: 255 }],
  ['int32', { min: -(2 ** 31), max: 2 ** 31 - 1 }],
]);

/** Converts a value to an element of a typed array of `dtype`. Throws ERR_INVALID_ARG_TYPE, or ERR_OUT_OF_RANGE if it would wrap. */
export function fillValue(name: string, value: unknown, dtype: DType): number | bigint {
  const range = INTEGERS.get(dtype);
  if (range !== undefined) return checkInteger(name, value, range);
  if (dtype === 'int64') {
    const wide = typeof value === 'bigint' ? value : BigInt(checkInteger(name, value));
    if (BigInt.asIntN(64, wide) === wide) return wide;
    throw unexpected('ERR_OUT_OF_RANGE', name, 'an integer from -2^63 to 2^63 - 1', value);
  }
  if (dtype === 'bool' && typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value !== 'number') throw unexpected('ERR_INVALID_ARG_TYPE', name, 'a number', value);
  return dtype === 'bool' ? Number(value !== 0) : value;
}

/** Checks that a shape has `length` elements; the default is one dimension. Throws ERR_SHAPE_MISMATCH. */
export function checkLength(length: number, shape: unknown): number[] {
  const sizes = shape === undefined ? [length] : checkShape('shape', shape);
  if (elementCount(sizes) !== length) {
    throw new TokenLearnerError(
      'ERR_SHAPE_MISMATCH',
      `Expected ${elementCount(sizes)} elements in \`data\` for shape ${formatShape(sizes)} but received ${length}`,
    );
  }
  return sizes;
}

/**
 * Checks that a typed array can hold exactly the elements of a tensor. Returns a view of its bytes. Throws
 * ERR_INVALID_ARG_TYPE, ERR_DTYPE_MISMATCH, ERR_SHAPE_MISMATCH, ERR_UNSUPPORTED_BUFFER, ERR_DETACHED.
 */
export function bytesOf(name: string, array: unknown, dtype: DType, shape: Shape): Uint8Array {
  const expected = dtypeInfo(dtype).array.name;
  if (!types.isTypedArray(array)) {
    throw unexpected('ERR_INVALID_ARG_TYPE', name, `a ${expected}`, array);
  }
  const given = typedArrayName(array);
  if (!isArrayFor(given, dtype)) {
    throw new TokenLearnerError(
      'ERR_DTYPE_MISMATCH',
      `Expected ${expected} for \`${name}\`, as the tensor's dtype is ${dtype}, but received ${String(given)}`,
    );
  }
  const bytes = fixedBytes(name, array as TypedArray);
  const count = elementCount(shape);
  if (lengthOf(array as TypedArray) !== count) {
    throw new TokenLearnerError(
      'ERR_SHAPE_MISMATCH',
      `Expected ${count} elements in \`${name}\` for shape ${formatShape(shape)} but received ${lengthOf(array as TypedArray)}`,
    );
  }
  return bytes;
}

/** The requested dtype, or the array's default dtype. Throws ERR_INVALID_ARG_TYPE or ERR_DTYPE_MISMATCH. */
export function arrayDType(array: TypedArray, asked: DType | undefined): DType {
  const name = typedArrayName(array) ?? '';
  const dtype = asked ?? defaultDType(name);
  if (dtype === undefined)
    throw unexpected('ERR_INVALID_ARG_TYPE', 'data', 'a typed array of a supported dtype', array);
  if (!isArrayFor(name, dtype)) {
    throw new TokenLearnerError(
      'ERR_DTYPE_MISMATCH',
      `Expected ${dtypeInfo(dtype).array.name} in \`data\` for dtype ${dtype} but received ${name}`,
    );
  }
  return dtype;
}
