/**
 * Tensors from JavaScript's data: typed arrays, buffers, numbers, JSON.
 */
import { types } from 'node:util';
import { type DType, dtypeInfo, DTYPES, type TypedArray } from '../dtype';
import { TokenLearnerError } from '../errors';
import { checkShape, contiguousStrides, elementCount } from '../shape';
import { checkInteger, checkOneOf, checkOptions, isPlainObject, unexpected } from '../validate';
import { makeTensor } from './access';
import { arrayDType, checkLength, fillValue, withOptions } from './arguments';
import { encoded, tensorOfRaw } from './elements';
import { fromJsonElement, nestedShape, visitElements } from './numbers';
import { Storage } from './storage';
import type { AnyTensor } from './tensor';
import { bufferBytes, lengthOf, typedArrayOf } from './typed-array';

export function from(data: unknown, ...rest: unknown[]): AnyTensor {
  if (isPlainObject(data)) return fromJSON(data, ...rest);
  const [shape, options] = withOptions(rest, 1);
  const { dtype } = checkOptions('options', options, ['dtype']);
  if (dtype !== undefined) checkOneOf('options.dtype', dtype, DTYPES);
  if (Array.isArray(data) || ['number', 'bigint', 'boolean'].includes(typeof data))
    return fromNumbers(data, shape, dtype as DType | undefined);
  if (types.isTypedArray(data)) return fromArray(data as TypedArray, shape, dtype as DType | undefined);
  throw unexpected(
    'ERR_INVALID_ARG_TYPE',
    'data',
    'a typed array, a number, or nested arrays of numbers',
    data,
  );
}

function fromArray(array: TypedArray, shape: unknown, asked: DType | undefined): AnyTensor {
  const dtype = arrayDType(array, asked);
  const storage = Storage.borrow(array);
  const sizes = checkLength(lengthOf(array), shape);
  const strides = contiguousStrides(sizes);
  return makeTensor({ storage, dtype, device: 'cpu', shape: sizes, strides, offset: 0 });
}

/** Creates a tensor from a result of `toJSON`. */
function fromJSON(json: Record<string, unknown>, ...rest: unknown[]): AnyTensor {
  if (rest.some((argument) => argument !== undefined)) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      'Expected neither `shape` nor `options` with an object for `data`: the object has its own',
    );
  }
  const { dtype, shape, data } = checkOptions('data', json, ['dtype', 'shape', 'data']);
  return fromNumbers(data, checkShape('data.shape', shape), checkOneOf('data.dtype', dtype, DTYPES));
}

/** The dtype of JavaScript's values, by the first of them. */
function dtypeOf(value: unknown): DType {
  if (typeof value === 'bigint') return 'int64';
  return typeof value === 'boolean' ? 'bool' : 'float32';
}

function fromNumbers(data: unknown, shape: unknown, asked: DType | undefined): AnyTensor {
  const given = nestedShape(data);
  const dtype = asked ?? dtypeOf(given.first);
  const count = elementCount(given.shape);
  const sizes = shape === undefined ? given.shape : checkLength(count, shape);
  const elements = typedArrayOf(count, dtype);
  const convert = (value: unknown): number | bigint => {
    // Every number is true or false where the caller asks for it, not where the first value alone is a boolean.
    if (asked === undefined && dtype === 'bool' && typeof value !== 'boolean')
      throw unexpected('ERR_INVALID_ARG_TYPE', 'data', 'booleans alone, or a `dtype`', value);
    return encoded(fillValue('data', fromJsonElement(value, dtype), dtype), dtype);
  };
  // The usual case has a function of its own, which V8 then compiles for one kind of array.
  const floats = dtype === 'float32' ? (elements as Float32Array) : undefined;
  const put =
    floats !== undefined
      ? (value: unknown, i: number) => {
          floats[i] = typeof value === 'number' ? value : Number(convert(value));
        }
      : (value: unknown, i: number) => {
          elements[i] = convert(value);
        };
  visitElements(data, given.shape, put);
  return tensorOfRaw(elements, dtype, sizes);
}

export function fromBuffer(buffer: unknown, dtype: unknown, shape: unknown, byteOffset: unknown): AnyTensor {
  const bytes = bufferBytes('buffer', buffer);
  if (bytes === undefined)
    throw unexpected('ERR_INVALID_ARG_TYPE', 'buffer', 'an ArrayBuffer or a view of one', buffer);
  const chosen = checkOneOf('dtype', dtype, DTYPES);
  const { itemSize, array: Class } = dtypeInfo(chosen);
  const skipped = checkInteger('byteOffset', byteOffset, { min: 0, max: bytes.byteLength });
  const available = bytes.byteLength - skipped;
  const sizes = shape === undefined ? [available / itemSize] : checkShape('shape', shape);
  const count = Number.isInteger(sizes[0] ?? 0) ? elementCount(sizes, itemSize) : Infinity;
  if (count * itemSize > available) {
    throw new TokenLearnerError(
      'ERR_SHAPE_MISMATCH',
      shape === undefined
        ? `Expected a multiple of ${itemSize} bytes in \`buffer\` for ${chosen} but received ${available}`
        : `Expected at least ${count * itemSize} bytes in \`buffer\` from \`byteOffset\` on but received ${available}`,
    );
  }
  const part = bytes.subarray(skipped, skipped + count * itemSize);
  if (part.byteOffset % itemSize === 0)
    return fromArray(new Class(part.buffer as ArrayBuffer, part.byteOffset, count), sizes, chosen);
  const aligned = typedArrayOf(count, chosen);
  new Uint8Array(aligned.buffer).set(part);
  return fromArray(aligned, sizes, chosen);
}
