/** What is looked for in the bytes of a request's JSON before it is parsed. */
import { endOfNumbers, JsonNumbers } from './json-numbers';
import { invalid } from './problem';

const [QUOTE, BACKSLASH, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT, COLON, SPACE] = [
  0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d, 0x3a, 0x20,
];
const DATA_KEY = Buffer.from('"data"');
/** The fewest bytes of an array that is not left to JSON.parse. */
const LONG = 1024;

/** A long array of numbers under the key `data`, from its first byte to the one behind it. */
export interface NumbersInJson {
  start: number;
  end: number;
  numbers: JsonNumbers;
}

/** Refuses JSON that is nested deeper than `most`, and finds the long arrays of numbers in it. Throws a Problem: 400. */
export function scanJson(bytes: Buffer, most: number): NumbersInJson[] {
  const found: NumbersInJson[] = [];
  let depth = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte === QUOTE) i = endOfString(bytes, i);
    else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      const end = byte === OPEN_ARRAY && isData(bytes, i) ? endOfNumbers(bytes, i, most - depth) : undefined;
      if (end !== undefined && end - i >= LONG) {
        found.push({ start: i, end: end + 1, numbers: new JsonNumbers(bytes, i, end) });
        i = end;
        continue;
      }
      depth += 1;
      if (depth > most) throw invalid(`The JSON is nested deeper than ${most} levels`);
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) depth -= 1;
  }
  return found;
}

/** True if the value at a position has the key `data`. */
function isData(bytes: Buffer, position: number): boolean {
  const colon = lastByte(bytes, position - 1);
  if (bytes[colon] !== COLON) return false;
  const end = lastByte(bytes, colon - 1) + 1;
  const start = end - DATA_KEY.length;
  // Behind a backslash the first quote is part of a longer key.
  return start > 0 && bytes[start - 1] !== BACKSLASH && DATA_KEY.compare(bytes, start, end) === 0;
}

/** The last position up to `position` that is not space. */
function lastByte(bytes: Buffer, position: number): number {
  let i = position;
  while (i > 0 && (bytes[i] ?? 0) <= SPACE) i -= 1;
  return i;
}

/** The position of the quote that ends a string, or the end of the bytes. */
function endOfString(bytes: Buffer, start: number): number {
  let i = start + 1;
  while (i < bytes.length && bytes[i] !== QUOTE) i += bytes[i] === BACKSLASH ? 2 : 1;
  return i;
}
