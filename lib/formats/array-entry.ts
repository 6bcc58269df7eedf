import { inspect, types } from 'node:util';

import { DTYPES, dtypeInfo, isDType, type DType, type TypedArray } from '../dtype';
import { TokenLearnerError } from '../errors';
import { elementCount } from './elements';

/** One array of a file: its elements in C order (the last dimension is contiguous). */
export interface ArrayEntry {
  dtype: DType;
  shape: number[];
  /**
   * The elements: float16 and bfloat16 as their bits in a Uint16Array (float16 also in a Float16Array, where there are some),
   * int64 as a BigInt64Array, bool as a Uint8Array of 0 and 1.
   */
  data: TypedArray;
}

/** Arrays by name. It has no prototype, so that any name, also `__proto__`, is an ordinary key. */
export type ArrayEntries = Record<string, ArrayEntry>;

/** An {@link ArrayEntries} without entries. */
export function emptyEntries(): ArrayEntries {
  return Object.create(null) as ArrayEntries;
}

/** What a value is, for messages that say what was received. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (types.isMap(value)) return 'a Map';
  if (types.isTypedArray(value)) return value[Symbol.toStringTag];
  if (typeof value === 'object' || typeof value === 'function') return `a value of type ${typeof value}`;
  return `${inspect(value)} of type ${typeof value}`;
}

function typeError(name: string, expected: string, value: unknown): TokenLearnerError {
  return new TokenLearnerError(
    'ERR_INVALID_ARG_TYPE',
    `Expected ${expected} for \`${name}\` but received ${describe(value)}`,
  );
}

function checkShape(name: string, shape: unknown): asserts shape is number[] {
  if (!Array.isArray(shape)) throw typeError(`${name}.shape`, 'an array of numbers', shape);
  for (const size of shape as unknown[]) {
    if (typeof size !== 'number') throw typeError(`${name}.shape`, 'an array of numbers', shape);
    if (Number.isSafeInteger(size) && size >= 0) continue;
    throw new TokenLearnerError(
      'ERR_OUT_OF_RANGE',
      `Expected integers of 0 or more for \`${name}.shape\` but received [${shape.join(', ')}]`,
    );
  }
}

/**
 * Checks that a value is a whole {@link ArrayEntry}.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE (dtype), ERR_OUT_OF_RANGE (shape),
 * ERR_DTYPE_MISMATCH (the typed array is not the dtype's) or ERR_SHAPE_MISMATCH (its length is not the shape's).
 */
export function checkArrayEntry(name: string, value: unknown): asserts value is ArrayEntry {
  if (typeof value !== 'object' || value === null) throw typeError(name, 'an array entry', value);
  const { dtype, shape, data } = value as Partial<Record<keyof ArrayEntry, unknown>>;
  if (typeof dtype !== 'string') throw typeError(`${name}.dtype`, 'a string', dtype);
  if (!isDType(dtype)) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected one of ${DTYPES.join(', ')} for \`${name}.dtype\` but received '${dtype}'`,
    );
  }
  checkShape(name, shape);
  if (!types.isTypedArray(data)) throw typeError(`${name}.data`, 'a typed array', data);
  const arrayName = dtypeInfo(dtype).array.name;
  const found: string = data[Symbol.toStringTag];
  if (found !== arrayName && !(dtype === 'float16' && found === 'Float16Array')) {
    throw new TokenLearnerError(
      'ERR_DTYPE_MISMATCH',
      `Expected ${arrayName} for \`${name}.data\` of dtype ${dtype} but received ${describe(data)}`,
    );
  }
  if (data.length !== elementCount(shape)) {
    throw new TokenLearnerError(
      'ERR_SHAPE_MISMATCH',
      `Expected ${elementCount(shape)} elements for \`${name}.data\` of shape [${shape.join(', ')}] but received ${data.length}`,
    );
  }
}
