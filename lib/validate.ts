/**
 * Argument checks, without native code. Every message reads "Expected X for `name` but received Y".
 */
import { inspect } from 'node:util';
import { type ErrorCode, TokenLearnerError } from './errors';

const SHOWN = 60;

/** This copy of the package. A process may hold several, such as two versions, or one for each of jest's module registries. */
const COPY = Object.freeze({});
const BRAND = Symbol.for('tokenlearner.brand');

/** Marks the instances of a class of this package, so that another copy of it can say what they are. */
export function brand(prototype: object, what: string): void {
  Object.defineProperty(prototype, BRAND, { value: Object.freeze({ what, copy: COPY }) });
}

/** What an instance of another copy is; undefined for all else. */
function ofOtherCopy(value: object): string | undefined {
  const found = (value as { [BRAND]?: { what: unknown; copy: unknown } })[BRAND];
  if (found === undefined || found.copy === COPY) return undefined;
  return `${String(found.what)} of another copy of tokenlearner in this process: install and load it once`;
}

/** Describes a received value for a message: the value, shortened if it is long, and its type. */
export function describe(value: unknown): string {
  try {
    return describeUnguarded(value);
  } catch {
    // A getter or a proxy trap of the value threw.
    return 'an object';
  }
}

function describeUnguarded(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'function') return value.name === '' ? 'a function' : `function ${value.name}`;
  if (typeof value === 'object' && !Array.isArray(value)) {
    const other = ofOtherCopy(value);
    if (other !== undefined) return other;
    const name = (value.constructor as { name?: unknown } | undefined)?.name;
    return typeof name === 'string' && name !== '' && name !== 'Object'
      ? `an instance of ${name}`
      : 'an object';
  }
  const text = inspect(value, { depth: 1, maxArrayLength: 8, maxStringLength: SHOWN, breakLength: Infinity });
  return `${text} of type ${Array.isArray(value) ? 'array' : typeof value}`;
}

/** Creates the error for a bad argument. */
export function unexpected(
  code: ErrorCode,
  name: string,
  expected: string,
  value: unknown,
): TokenLearnerError {
  return new TokenLearnerError(code, `Expected ${expected} for \`${name}\` but received ${describe(value)}`);
}

/** A range of allowed integers, including both ends. */
export interface IntegerRange {
  min?: number;
  max?: number;
}

/** A bound of a range: not one that Object.prototype has. */
function bound(range: IntegerRange, name: 'min' | 'max'): number | undefined {
  return Object.hasOwn(range, name) ? range[name] : undefined;
}

function describeRange(range: IntegerRange): string {
  const [min, max] = [bound(range, 'min'), bound(range, 'max')];
  if (min === 1 && max === undefined) return 'a positive integer';
  if (min !== undefined && max !== undefined && min > max) return 'no integer, since none is in range,';
  if (min !== undefined && max !== undefined) return `an integer from ${min} to ${max}`;
  return min === undefined ? 'an integer' : `an integer of at least ${min}`;
}

/** True for a safe integer in a range. */
export function isIntegerIn(range: IntegerRange, value: unknown): value is number {
  return (
    Number.isSafeInteger(value) &&
    (value as number) >= (bound(range, 'min') ?? -Infinity) &&
    (value as number) <= (bound(range, 'max') ?? Infinity)
  );
}

/** Checks for a safe integer in a range. Throws ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE. */
export function checkInteger(name: string, value: unknown, range: IntegerRange = {}): number {
  if (typeof value !== 'number') {
    throw unexpected('ERR_INVALID_ARG_TYPE', name, describeRange(range), value);
  }
  if (isIntegerIn(range, value)) return value;
  throw unexpected('ERR_OUT_OF_RANGE', name, describeRange(range), value);
}

/** Checks for a finite number of at least `min`. Throws ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE. */
export function checkNumber(name: string, value: unknown, min = -Infinity): number {
  const expected = min === -Infinity ? 'a finite number' : `a finite number of at least ${min}`;
  if (typeof value !== 'number') throw unexpected('ERR_INVALID_ARG_TYPE', name, expected, value);
  if (!Number.isFinite(value) || value < min) throw unexpected('ERR_OUT_OF_RANGE', name, expected, value);
  return value;
}

/** Checks for a boolean. Throws ERR_INVALID_ARG_TYPE. */
export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw unexpected('ERR_INVALID_ARG_TYPE', name, 'a boolean', value);
  return value;
}

/** Checks for a string. Throws ERR_INVALID_ARG_TYPE. */
export function checkString(name: string, value: unknown): string {
  if (typeof value !== 'string') throw unexpected('ERR_INVALID_ARG_TYPE', name, 'a string', value);
  return value;
}

/** Checks for one of the `allowed` strings. Throws ERR_INVALID_ARG_TYPE or ERR_INVALID_ARG_VALUE. */
export function checkOneOf<T extends string>(name: string, value: unknown, allowed: readonly T[]): T {
  const expected = `one of ${allowed.map((item) => `'${item}'`).join(', ')}`;
  if (typeof value !== 'string') throw unexpected('ERR_INVALID_ARG_TYPE', name, expected, value);
  if (!(allowed as readonly string[]).includes(value)) {
    throw unexpected('ERR_INVALID_ARG_VALUE', name, expected, value);
  }
  return value as T;
}

/** True for an object literal or an object without a prototype, from any realm. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** True for those members of a union that have a property of their own: Object.prototype may have one of any name. */
export function hasOwn<T extends object, K extends PropertyKey>(
  value: T,
  key: K,
): value is Extract<T, Record<K, unknown>> {
  return Object.hasOwn(value, key);
}

/** The options of a function that has none. Passing any option is an error. */
export type NoOptions = Record<string, never>;

/**
 * Checks for a plain options object with only `allowed` keys, so that a misspelt option is an error. Returns a copy of its own
 * properties; it reads each once, and the copy inherits nothing. `undefined` means no options, or the default of one option, which
 * the copy then lacks: spread over defaults, it keeps them. null is an error. Throws ERR_INVALID_ARG_TYPE or ERR_INVALID_ARG_VALUE.
 */
export function checkOptions<K extends string>(
  name: string,
  value: unknown,
  allowed: readonly K[],
): Partial<Record<K, unknown>> {
  const own = Object.create(null) as Partial<Record<K, unknown>>;
  if (value === undefined) return own;
  if (!isPlainObject(value)) throw unexpected('ERR_INVALID_ARG_TYPE', name, 'a plain object', value);
  const keys = Object.keys(value);
  const stranger = keys.find((key) => !(allowed as readonly string[]).includes(key));
  if (stranger !== undefined) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected ${allowed.length === 0 ? 'no options' : `only the options ${allowed.join(', ')}`} for \`${name}\` but received '${stranger}'`,
    );
  }
  for (const key of keys) {
    const item = value[key];
    if (item === null) {
      throw unexpected('ERR_INVALID_ARG_TYPE', `${name}.${key}`, 'a value or undefined', null);
    }
    if (item !== undefined) own[key as K] = item;
  }
  return own;
}
