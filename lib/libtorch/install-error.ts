import { TokenLearnerError } from '../errors';

/** The error of everything that fetches, checks and unpacks a libtorch. */
export function installError(message: string, cause?: unknown): TokenLearnerError {
  return new TokenLearnerError(
    'ERR_LIBTORCH_NOT_FOUND',
    message,
    cause === undefined ? undefined : { cause },
  );
}
