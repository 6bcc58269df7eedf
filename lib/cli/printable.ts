/** Texts from files, such as names, without characters that a terminal would obey: controls, marks of direction, and what else has no glyph. */

import { escapeCharacter, quoteAll } from '../formats/format-error';

const UNSAFE = /(?![\n\t])\p{C}/gu;

/** A text for people that may hold names from files. Its line breaks and tabs stay. */
export function printableText(text: string): string {
  return text.replace(UNSAFE, escapeCharacter);
}

/** A name: in quotes where it has such characters or line breaks. */
export function printable(name: string): string {
  return /\p{C}/u.test(name) ? quoteAll(name) : name;
}

/** A value as indented JSON, which means the same as JSON.stringify's. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(UNSAFE, (character) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}
