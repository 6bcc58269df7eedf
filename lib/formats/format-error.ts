import { messageOf, TokenLearnerError } from '../errors';

/** Makes the error for malformed content of one source of bytes. */
export type Fail = (what: string, cause?: unknown) => TokenLearnerError;

/**
 * Makes ERR_FILE_FORMAT errors whose message begins with the source.
 *
 * @param source - a path, or a name for the bytes
 */
export function formatErrors(source: string): Fail {
  return (what, cause) =>
    new TokenLearnerError(
      'ERR_FILE_FORMAT',
      `${source}: ${what}`,
      cause === undefined ? undefined : { cause },
    );
}

/**
 * Turns an error of the system, or of a stream or Blob, into ERR_FILE_IO, with that error as its cause. Our own errors pass.
 *
 * @param doing - 'read' or 'written'
 */
export function ioError(doing: 'read' | 'written', source: string, cause: unknown): TokenLearnerError {
  if (cause instanceof TokenLearnerError) return cause;
  return new TokenLearnerError('ERR_FILE_IO', `${source}: cannot be ${doing}: ${messageOf(cause)}`, {
    cause,
  });
}

/** Quotes a name from a file. Characters that a terminal would obey, or not show, are escaped. */
export function quoteAll(name: string): string {
  return JSON.stringify(name).replace(/\p{C}/gu, escapeCharacter);
}

/** A character as `\u{...}`. */
export function escapeCharacter(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

/** As {@link quoteAll}, cut to 200 characters. */
export function quote(name: string): string {
  return quoteAll(name.length > 200 ? `${name.slice(0, 200)}...` : name);
}

/** Turns an error of yauzl or zlib into ERR_FILE_FORMAT, with that error as its cause. Our own errors pass. */
export function archiveError(error: unknown, fail: Fail): TokenLearnerError {
  if (error instanceof TokenLearnerError) return error;
  return fail(`not a valid zip archive: ${messageOf(error)}`, error);
}
