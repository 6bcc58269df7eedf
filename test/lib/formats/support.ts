import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { dtypeInfo, type DType } from '../../../lib/dtype';
import { TokenLearnerError, type ErrorCode } from '../../../lib/errors';
import type { ArrayEntries, ArrayEntry } from '../../../lib/formats/array-entry';

export const FIXTURES = join(__dirname, '../../fixtures/formats');

/** The bytes of a fixture, in memory of their own. */
export function fixture(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(join(FIXTURES, name)));
}

interface Described {
  dtype: DType;
  shape: number[];
  hex: string;
}

const expectations = JSON.parse(readFileSync(join(FIXTURES, 'expected.json'), 'utf8')) as Record<
  string,
  unknown
>;

/** Names of the fixtures that must be readable, by their ending. */
export function readable(ending: string): string[] {
  return Object.keys(expectations).filter((name) => name.endsWith(ending));
}

/** The content of a fixture with one array. */
export function expectedArray(name: string): Described {
  return expectations[name] as Described;
}

/** The content of a fixture with named arrays. */
export function expectedArrays(name: string): [string, Described][] {
  return Object.entries(expectations[name] as Record<string, Described>);
}

/** An entry in the form of expected.json. */
export function described({ dtype, shape, data }: ArrayEntry): Described {
  const hex = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex');
  return { dtype, shape, hex };
}

/** Entries in the form of expected.json, in the order of their names. */
export function describedAll(entries: ArrayEntries): [string, Described][] {
  return Object.entries(entries).map(([name, entry]) => [name, described(entry)]);
}

/** Sorts pairs by name. */
export function byName<T>(pairs: [string, T][]): [string, T][] {
  return pairs.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** An entry whose bytes count up from 0 (for bool: 0 and 1). */
export function sample(dtype: DType, shape: number[]): ArrayEntry {
  const count = shape.reduce((product, size) => product * size, 1);
  const bytes = Uint8Array.from({ length: count * dtypeInfo(dtype).itemSize }, (_, i) =>
    dtype === 'bool' ? i % 2 : i,
  );
  return { dtype, shape, data: new (dtypeInfo(dtype).array)(bytes.buffer) };
}

/** Passes when `error` is the package's error with that code and a message that matches. */
export function expectError(error: unknown, code: ErrorCode, message: RegExp | string): void {
  expect(error).toBeInstanceOf(TokenLearnerError);
  expect((error as TokenLearnerError).code).toBe(code);
  if (typeof message === 'string') expect((error as Error).message).toContain(message);
  else expect((error as Error).message).toMatch(message);
}

/** Runs what must throw, and checks the error as {@link expectError} does. */
export function expectThrow(run: () => unknown, code: ErrorCode, message: RegExp | string): void {
  let error: unknown;
  try {
    run();
  } catch (caught) {
    error = caught;
  }
  expectError(error, code, message);
}

/** Waits for what must reject, and returns the error once it is checked as {@link expectError} does. */
export async function expectReject(
  promise: Promise<unknown>,
  code: ErrorCode,
  message: RegExp | string,
): Promise<TokenLearnerError> {
  const error: unknown = await promise.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expectError(error, code, message);
  return error as TokenLearnerError;
}

/**
 * Counts the turns of the event loop while `work` runs. The clock jumps ahead with each look at it, so that a piece of work that
 * checks the clock pauses each time.
 */
export async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let time = 0;
  const clock = jest.spyOn(performance, 'now').mockImplementation(() => (time += 1000));
  let turns = 0;
  let running = true;
  const turn = (): void => {
    turns += 1;
    if (running) setImmediate(turn);
  };
  setImmediate(turn);
  try {
    await work();
  } finally {
    running = false;
    clock.mockRestore();
  }
  return turns;
}

/** `test`, where the system has named pipes. */
export const testPipes = process.platform === 'win32' ? test.skip : test;

/** Makes a named pipe and returns its path. */
export function makePipe(path: string): string {
  execFileSync('mkfifo', [path]);
  return path;
}

/** Runs `use` while Object.prototype has that property. */
export async function withPolluted<T>(name: string, value: unknown, use: () => Promise<T>): Promise<T> {
  Object.defineProperty(Object.prototype, name, { value, configurable: true, writable: true });
  try {
    return await use();
  } finally {
    Reflect.deleteProperty(Object.prototype, name);
  }
}
