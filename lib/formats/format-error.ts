import { types } from 'node:util';

import { TokenLearnerError } from '../errors';

/** Makes the error for something wrong with one source of bytes. */
export type Fail = (what: string, cause?: unknown) => TokenLearnerError;

/** Errors ERR_FILE_FORMAT that begin with the source: a path, or what the bytes are. */
export function formatErrors(source: string): Fail {
  return (what, cause) =>
    new TokenLearnerError('ERR_FILE_FORMAT', `${source}: ${what}`, cause === undefined ? {} : { cause });
}

/** What a caught value says. Node's own errors may come from another realm, where instanceof Error fails. */
export function messageOf(error: unknown): string {
  return types.isNativeError(error) ? error.message : String(error);
}

/** A name from a file, quoted and cut to a length that a message can take. */
export function quote(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}...` : name);
}

/** yauzl's and zlib's errors become ERR_FILE_FORMAT with the original as the cause; our own pass. */
export function archiveError(error: unknown, fail: Fail): TokenLearnerError {
  if (error instanceof TokenLearnerError) return error;
  return fail(`not a valid zip archive: ${messageOf(error)}`, error);
}
