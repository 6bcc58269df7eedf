import type { TokenLearnerError } from '../errors';
import type { Fail } from './format-error';
import { Pace } from './pace';
import { PickleBudget } from './pickle-budget';
import { PickleMemo } from './pickle-memo';
import { PickledDict, type PickleValue } from './pickle-values';

/** Checkpoints have no longer integers, and the time to convert one grows faster than its length. */
const MAX_INTEGER_BYTES = 256;
/** The approximate size of values in bytes, without their elements. */
const NUMBER_BYTES = 16;
const ARRAY_BYTES = 48;
const DICT_BYTES = 320;
const OBJECT_BYTES = 160;
const SLOT_BYTES = 8;
/**
 * The most values on the stack, and the most marks. A longer array takes too long to grow. Picklers put at most 2,000 values at once
 * on the stack, and all items of a tuple.
 */
const MAX_STACK = 2 ** 20;

function footprint(value: PickleValue): number {
  if (typeof value === 'string') return ARRAY_BYTES + 2 * value.length;
  if (typeof value === 'bigint') return ARRAY_BYTES + MAX_INTEGER_BYTES;
  if (typeof value !== 'object' || value === null) return NUMBER_BYTES;
  if (Array.isArray(value)) return ARRAY_BYTES + SLOT_BYTES * value.length;
  if (value instanceof Uint8Array) return OBJECT_BYTES + value.byteLength;
  return value instanceof PickledDict ? DICT_BYTES : OBJECT_BYTES;
}

/** The state of a pickle machine: the bytes, a stack with marks, a memo, and the budget that everything is charged to. */
export class PickleMachine {
  /** Makes ERR_FILE_FORMAT errors. */
  readonly fail: Fail;
  /** Makes ERR_UNSAFE_PICKLE errors. */
  readonly refuse: (what: string) => TokenLearnerError;
  readonly #bytes: Buffer;
  readonly #text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  readonly #stack: PickleValue[] = [];
  readonly #marks: number[] = [];
  readonly #memo: PickleMemo;
  readonly #pace = new Pace();
  readonly budget: PickleBudget;
  #at = 0;

  /** @param fileBytes - the size of the file that holds the pickle */
  constructor(bytes: Uint8Array, fileBytes: number, fail: Fail, refuse: (what: string) => TokenLearnerError) {
    this.budget = new PickleBudget(Math.min(bytes.byteLength, fileBytes), fail);
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#memo = new PickleMemo(this.budget);
    this.fail = fail;
    this.refuse = refuse;
  }

  /** Reads the next opcode. */
  operation(): number {
    this.budget.operation();
    return this.uint8();
  }

  /** Lets the event loop run if the time slice is used up. */
  pause(): Promise<void> {
    return this.#pace.pause();
  }

  /** The position of the next byte. */
  get position(): number {
    return this.#at;
  }

  #advance(length: number): number {
    const start = this.#at;
    if (length > this.#bytes.length - start) {
      throw this.fail(
        `the pickle is truncated: ${length} bytes expected at ${start} of ${this.#bytes.length}`,
      );
    }
    this.#at += length;
    return start;
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#advance(1));
  }

  uint16(): number {
    return this.#bytes.readUInt16LE(this.#advance(2));
  }

  uint32(): number {
    return this.#bytes.readUInt32LE(this.#advance(4));
  }

  int32(): number {
    return this.#bytes.readInt32LE(this.#advance(4));
  }

  /** Reads an 8-byte length. A length that is not exact as a number is beyond the end of any file. */
  uint64(): number {
    return Number(this.#bytes.readBigUInt64LE(this.#advance(8)));
  }

  float64(): number {
    return this.#bytes.readDoubleBE(this.#advance(8));
  }

  /** Reads a copy of the next bytes. */
  bytes(length: number): Uint8Array {
    const start = this.#advance(length);
    return new Uint8Array(this.#bytes.subarray(start, start + length));
  }

  string(length: number): string {
    const start = this.#advance(length);
    try {
      return this.#text.decode(this.#bytes.subarray(start, start + length));
    } catch (cause) {
      throw this.fail(`the pickle has a string at ${start} that is not valid UTF-8`, cause);
    }
  }

  /** Reads the text up to the next newline. */
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0) throw this.fail('the pickle is truncated: a line does not end');
    const text = this.string(end - this.#at);
    this.#at = end + 1;
    return text;
  }

  /** Reads a little-endian two's complement integer; a number if that is exact, else a bigint. */
  integer(length: number): number | bigint {
    if (length > MAX_INTEGER_BYTES) throw this.fail(`the pickle has an integer of ${length} bytes`);
    const digits = Buffer.from(this.bytes(length)).reverse().toString('hex');
    const value = BigInt.asIntN(length * 8, BigInt(`0x${digits || '0'}`));
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  /** Pushes a new value onto the stack. */
  push(value: PickleValue): void {
    if (Array.isArray(value)) this.budget.elements(value.length);
    this.budget.memory(footprint(value) + SLOT_BYTES);
    this.#put(value);
  }

  #put(value: PickleValue): void {
    this.#checkLength(this.#stack.length, 'values');
    this.#stack.push(value);
  }

  #checkLength(length: number, what: string): void {
    if (length < MAX_STACK) return;
    throw this.fail(`the pickle has over ${MAX_STACK} ${what} on its stack at ${this.#at}`);
  }

  /** Charges items that are put into a container. */
  chargeItems(count: number): void {
    this.budget.elements(count);
    this.budget.memory(SLOT_BYTES * count);
  }

  /** Pops the top value above the last mark. */
  pop(): PickleValue {
    const value = this.#stack.length > (this.#marks.at(-1) ?? 0) ? this.#stack.pop() : undefined;
    if (value === undefined) throw this.fail(`the pickle pops from an empty stack at ${this.#at}`);
    return value;
  }

  /** Returns the value that {@link pop} would pop. */
  top(): PickleValue {
    const value = this.pop();
    this.#stack.push(value);
    return value;
  }

  mark(): void {
    this.budget.memory(SLOT_BYTES);
    this.#checkLength(this.#marks.length, 'marks');
    this.#marks.push(this.#stack.length);
  }

  /** Pops the last mark and all values above it. */
  popToMark(): PickleValue[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.fail(`the pickle has no mark for the operation at ${this.#at}`);
    return this.#stack.splice(mark);
  }

  remember(index: number = this.#memo.size): void {
    this.#memo.set(index, this.top());
  }

  recall(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.fail(`the pickle recalls ${index}, which is not in its memo`);
    this.budget.memory(SLOT_BYTES);
    this.#put(value);
  }

  /** Returns the only value that is left at the end. */
  result(): PickleValue {
    const value = this.pop();
    if (this.#stack.length > 0) throw this.fail('the pickle leaves more than one value');
    return value;
  }
}
