/**
 * Arrays of numbers in JSON, read from its bytes into a typed array. JSON.parse needs the whole text as one string and makes an array of all
 * numbers first: for the data of a feature map both are large, in memory that is new each time.
 */
import { invalid, type Problem } from './problem';

const [TAB, NEWLINE, RETURN, SPACE, COMMA, MINUS, PLUS, DOT, ZERO, NINE] = [
  0x09, 0x0a, 0x0d, 0x20, 0x2c, 0x2d, 0x2b, 0x2e, 0x30, 0x39,
];
const [UPPER_E, LOWER_E, OPEN, CLOSE] = [0x45, 0x65, 0x5b, 0x5d];

const isSpace = (byte: number | undefined): boolean =>
  byte === SPACE || byte === NEWLINE || byte === RETURN || byte === TAB;
const isDigit = (byte: number | undefined): byte is number =>
  byte !== undefined && byte >= ZERO && byte <= NINE;

/** 1 for the bytes of which arrays of numbers consist. */
const ALLOWED = new Uint8Array(256);
for (const byte of Buffer.from('0123456789+-.eE,[] \n\r\t')) ALLOWED[byte] = 1;

/**
 * The position of the bracket that closes the array at `start`; undefined unless the array has only numbers and such arrays, nested at most
 * `most` deep.
 */
export function endOfNumbers(bytes: Buffer, start: number, most: number): number | undefined {
  let depth = 0;
  for (let i = start; ALLOWED[bytes[i] ?? 0] === 1; i++) {
    const byte = bytes[i];
    if (byte === OPEN && ++depth > most) return undefined;
    if (byte === CLOSE && --depth === 0) return i;
  }
  return undefined;
}

/** The powers of ten that are doubles. */
const POWERS = Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));
const LARGEST_POWER = POWERS.length - 1;
/** Integers below are doubles. */
const EXACT = 2 ** 53;
/** The most digits of which the product of the loop below is off by a few units in its last place. */
const MOST_DIGITS = 19;
/** Many times that error, and that of the last operation. */
const [LESS, MORE] = [1 - 2 ** -49, 1 + 2 ** -49];

// What is wrong with an input's data, also where JSON.parse gave it: values.ts.

export function wrongCount(
  name: string,
  shape: readonly number[],
  expected: number,
  received: number,
): Problem {
  return invalid(
    `Expected ${expected} numbers for \`${name}\` of shape [${shape.join(', ')}] but received ${received}`,
  );
}

export function wrongNesting(name: string, shape: readonly number[], dimension: number): Problem {
  return invalid(
    `Expected nested data of shape [${shape.join(', ')}] for \`${name}\`; dimension ${dimension} is not ${shape[dimension]}`,
  );
}

export function outOfRange(name: string, number: number, index: number): Problem {
  const which = Number.isFinite(number) ? `The number ${number}` : 'The number';
  return invalid(`${which} at index ${index} of \`${name}\` is out of range`);
}

/** An array of numbers in the text of a request. */
export class JsonNumbers {
  readonly #bytes: Buffer;
  readonly #start: number;
  readonly #end: number;
  /** The next byte to read. */
  #at = 0;

  /** From the bracket at `start` to that at `end`. */
  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  /**
   * Reads all numbers, which lie flat or nested as the shape. The result is that of JSON.parse, rounded to the target's type.
   *
   * @param name - of the tensor, for errors.
   * @throws Problem 400 for text that is no JSON, and for another number of numbers.
   */
  fill(name: string, shape: readonly number[], target: Float32Array | Float64Array): void {
    this.#at = this.#start + 1;
    const isNested = this.#next() === OPEN;
    this.#at = this.#start;
    if (isNested) this.#nested(name, shape, 0, target, 0);
    else this.#flat(name, shape, target);
    if (this.#at !== this.#end + 1) throw this.#unexpected();
  }

  #flat(name: string, shape: readonly number[], target: Float32Array | Float64Array): void {
    const read = this.#row(name, target, 0, target.length);
    if (read === target.length) return;
    throw wrongCount(name, shape, target.length, this.#count());
  }

  /** Reads the part of the target from `from` on. Returns the position behind it. */
  #nested(
    name: string,
    shape: readonly number[],
    axis: number,
    target: Float32Array | Float64Array,
    from: number,
  ): number {
    const size = shape[axis] ?? 0;
    const wrong = (dimension: number): Problem => wrongNesting(name, shape, dimension);
    if (axis === shape.length - 1) {
      if (this.#row(name, target, from, size) !== size) throw wrong(axis);
      return from + size;
    }
    this.#at += 1;
    let next = from;
    for (let i = 0; i < size; i++) {
      if (i > 0 && !this.#skip(COMMA)) throw this.#next() === CLOSE ? wrong(axis) : this.#unexpected();
      const byte = this.#next();
      if (byte === CLOSE && i === 0) throw wrong(axis);
      if (byte !== OPEN) throw byte === MINUS || isDigit(byte) ? wrong(axis + 1) : this.#unexpected();
      next = this.#nested(name, shape, axis + 1, target, next);
    }
    if (!this.#skip(CLOSE)) throw this.#next() === COMMA ? wrong(axis) : this.#unexpected();
    return next;
  }

  /**
   * Reads the array that opens here, of `size` numbers, to the bracket behind it. Returns how many there were; a number other than `size`, and then
   * the position means nothing, if there are fewer or more.
   */
  #row(name: string, target: Float32Array | Float64Array, from: number, size: number): number {
    this.#at += 1;
    if (this.#next() === CLOSE) {
      this.#at += 1;
      return 0;
    }
    if (size === 0) return 1;
    for (let i = 0; i < size; i++) {
      if (i > 0 && !this.#skip(COMMA)) {
        if (this.#next() === CLOSE) return i;
        throw this.#unexpected();
      }
      if (this.#next() === OPEN) return size + 1;
      this.#number(name, target, from + i);
    }
    if (this.#skip(CLOSE)) return size;
    if (this.#next() === COMMA) return size + 1;
    throw this.#unexpected();
  }

  /** Reads one number into the target. */
  #number(name: string, target: Float32Array | Float64Array, index: number): void {
    const bytes = this.#bytes;
    let at = this.#at;
    let byte = bytes[at];
    const isNegative = byte === MINUS;
    if (isNegative) byte = bytes[++at];
    let mantissa = 0;
    let digits = 0;
    let exponent = 0;
    if (byte === ZERO) byte = bytes[++at];
    else {
      if (!isDigit(byte)) throw this.#unexpected(at);
      do {
        mantissa = mantissa * 10 + (byte - ZERO);
        digits += 1;
        byte = bytes[++at];
      } while (isDigit(byte));
    }
    if (byte === DOT) {
      byte = bytes[++at];
      if (!isDigit(byte)) throw this.#unexpected(at);
      do {
        mantissa = mantissa * 10 + (byte - ZERO);
        if (mantissa > 0) digits += 1;
        exponent -= 1;
        byte = bytes[++at];
      } while (isDigit(byte));
    }
    if (byte === LOWER_E || byte === UPPER_E) {
      byte = bytes[++at];
      const isBelow = byte === MINUS;
      if (isBelow || byte === PLUS) byte = bytes[++at];
      if (!isDigit(byte)) throw this.#unexpected(at);
      let power = 0;
      do {
        power = power * 10 + (byte - ZERO);
        byte = bytes[++at];
      } while (isDigit(byte));
      exponent += isBelow ? -power : power;
    }
    const start = this.#at;
    this.#at = at;
    if (digits <= MOST_DIGITS && exponent >= -LARGEST_POWER && exponent <= LARGEST_POWER) {
      const power = POWERS[Math.abs(exponent)] ?? 1;
      const near = exponent < 0 ? mantissa / power : mantissa * power;
      // One rounding, or so close that float32 has one number for all that it can be.
      const isRight =
        (mantissa < EXACT ||
          (target instanceof Float32Array && Math.fround(near * LESS) === Math.fround(near * MORE))) &&
        Number.isFinite(Math.fround(near));
      if (isRight) {
        target[index] = isNegative ? -near : near;
        return;
      }
    }
    const value = Number(bytes.toString('latin1', start, at));
    target[index] = value;
    if (!Number.isFinite(target[index])) throw outOfRange(name, value, index);
  }

  /** Skips space. Returns the byte there. */
  #next(): number | undefined {
    while (isSpace(this.#bytes[this.#at])) this.#at += 1;
    return this.#bytes[this.#at];
  }

  /** Skips space and a byte. False if another one is there. */
  #skip(byte: number): boolean {
    if (this.#next() !== byte) return false;
    this.#at += 1;
    return true;
  }

  /** The number of elements of a flat array. */
  #count(): number {
    this.#at = this.#start + 1;
    if (this.#next() === CLOSE) return 0;
    let commas = 0;
    for (let i = this.#start; i < this.#end; i++) if (this.#bytes[i] === COMMA) commas += 1;
    return commas + 1;
  }

  #unexpected(at = this.#at): Problem {
    const byte = this.#bytes[at];
    const what = byte === undefined ? 'end' : `token '${String.fromCharCode(byte)}'`;
    return invalid(`The request is not JSON: Unexpected ${what} at position ${at}`);
  }
}
