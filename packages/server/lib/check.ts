/** Guards of options, with the messages of the main package. */
import { TokenLearnerError } from 'tokenlearner';

/** The longest delay of a timer, in milliseconds. */
export const LONGEST_DELAY = 2 ** 31 - 1;

type Code = 'ERR_INVALID_ARG_TYPE' | 'ERR_INVALID_ARG_VALUE' | 'ERR_OUT_OF_RANGE';

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** "Expected X for `name` but received Y". */
export function unexpected(code: Code, name: string, expected: string, value: unknown): TokenLearnerError {
  return new TokenLearnerError(code, `Expected ${expected} for \`${name}\` but received ${shown(value)}`);
}

/** Checks for a plain object with no key but the `allowed` ones. */
export function checkObject(
  name: string,
  value: unknown,
  allowed?: readonly string[],
): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw unexpected('ERR_INVALID_ARG_TYPE', name, 'an object', value);
  const stranger = allowed && Object.keys(value).find((key) => !allowed.includes(key));
  if (stranger !== undefined)
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected only the options ${allowed?.join(', ') ?? ''} for \`${name}\` but received '${stranger}'`,
    );
  return value as Record<string, unknown>;
}

export function checkString(name: string, value: unknown): string {
  if (typeof value !== 'string') throw unexpected('ERR_INVALID_ARG_TYPE', name, 'a string', value);
  if (value === '') throw unexpected('ERR_INVALID_ARG_VALUE', name, 'a string that is not empty', value);
  return value;
}

/** Checks for one of the `allowed` strings. */
export function checkOneOf(name: string, value: unknown, allowed: readonly string[]): string {
  const expected = `one of ${allowed.join(', ')}`;
  if (typeof value !== 'string') throw unexpected('ERR_INVALID_ARG_TYPE', name, expected, value);
  if (!allowed.includes(value)) throw unexpected('ERR_INVALID_ARG_VALUE', name, expected, value);
  return value;
}

/** Checks for the form of a device's name. The device need not exist. */
export function checkDevice(name: string, value: unknown): string {
  const expected = "'auto', 'cpu', 'cuda' or 'cuda:N'";
  if (typeof value !== 'string') throw unexpected('ERR_INVALID_ARG_TYPE', name, expected, value);
  if (!/^(?:auto|cpu|cuda(?::\d+)?)$/.test(value))
    throw unexpected('ERR_INVALID_ARG_VALUE', name, expected, value);
  return value;
}

export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw unexpected('ERR_INVALID_ARG_TYPE', name, 'a boolean', value);
  return value;
}

export function checkInteger(
  name: string,
  value: unknown,
  min: number,
  max = Number.MAX_SAFE_INTEGER,
): number {
  const expected =
    max === Number.MAX_SAFE_INTEGER ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`;
  if (typeof value !== 'number') throw unexpected('ERR_INVALID_ARG_TYPE', name, expected, value);
  if (!Number.isSafeInteger(value) || value < min || value > max)
    throw unexpected('ERR_OUT_OF_RANGE', name, expected, value);
  return value;
}

/** Checks for a time in milliseconds, as the Batcher does. */
export function checkTime(name: string, value: unknown): number {
  const expected = `a number from 0 to ${LONGEST_DELAY}`;
  if (typeof value !== 'number') throw unexpected('ERR_INVALID_ARG_TYPE', name, expected, value);
  if (value >= 0 && value <= LONGEST_DELAY) return value;
  throw unexpected('ERR_OUT_OF_RANGE', name, expected, value);
}
