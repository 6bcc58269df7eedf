import { TokenLearnerError } from '../errors';
import type { Fail } from '../formats/format-error';

/** Makes ERR_AOTI_PACKAGE errors, for a file that is no package or cannot run here. The message begins with the file. */
export function aotiErrors(file: string): Fail {
  return (what, cause) =>
    new TokenLearnerError(
      'ERR_AOTI_PACKAGE',
      `${file}: ${what}`,
      cause === undefined ? undefined : { cause },
    );
}
