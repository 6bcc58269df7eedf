import { messageOf, TokenLearnerError } from '../errors';

/** The error for everything that downloads, checks, unpacks, installs and removes a libtorch. */
export function installError(message: string, cause?: unknown): TokenLearnerError {
  return new TokenLearnerError('ERR_LIBTORCH_INSTALL', message, cause === undefined ? undefined : { cause });
}

/** Turns an error of the system into ERR_LIBTORCH_INSTALL, with that error as its cause. Our own errors pass. */
export function asInstallError(doing: string, error: unknown): TokenLearnerError {
  return error instanceof TokenLearnerError ? error : installError(`${doing}: ${messageOf(error)}`, error);
}
