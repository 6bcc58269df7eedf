import { quoteAll } from '../formats/format-error';

/** A name from a file, without characters that a terminal would obey. */
export function printable(name: string): string {
  return /\p{C}/u.test(name) ? quoteAll(name) : name;
}
