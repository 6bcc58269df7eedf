/** A name from a file, without characters that a terminal would obey. */
export function printable(name: string): string {
  return /\p{C}/u.test(name) ? JSON.stringify(name).replace(/\p{C}/gu, escaped) : name;
}

function escaped(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
