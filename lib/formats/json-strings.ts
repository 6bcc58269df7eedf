import { quote, type Fail } from './format-error';
import type { JsonCursor } from './json-cursor';
import type { Pace } from './pace';

/** The most names that one file may hold: tensors, metadata, or the entries of an index. */
export const MAX_NAMES = 2 ** 17;
/** The longest name, in bytes as it is written. */
export const MAX_NAME_BYTES = 2 ** 16;
/** The longest string that is not a name, in bytes as it is written. */
export const MAX_STRING_BYTES = 2 ** 22;

/** Reads an object of strings. @param what - names it in error messages */
export async function readStrings(
  cursor: JsonCursor,
  what: string,
  fail: Fail,
  pace: Pace,
): Promise<Map<string, string>> {
  if (!cursor.nextIs('{')) throw fail(`${what} is not an object`);
  const strings = new Map<string, string>();
  for (const key of cursor.keys(MAX_NAME_BYTES)) {
    if (strings.has(key)) throw fail(`${what} has the key ${quote(key)} twice`);
    if (strings.size === MAX_NAMES) throw fail(`${what} has over ${MAX_NAMES} entries`);
    if (!cursor.nextIs('"')) throw fail(`${what} has a value for ${quote(key)} that is not a string`);
    strings.set(key, cursor.string(MAX_STRING_BYTES));
    await pace.pause();
  }
  return strings;
}
