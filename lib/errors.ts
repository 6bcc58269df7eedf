import codes from './error-codes.json';

/** Every code a {@link TokenLearnerError} can carry. The registry is `error-codes.json`, shared with the native code. */
export type ErrorCode = keyof typeof codes;

/** The one error class of this package: `code` is stable and machine-readable, `message` is for people. */
export class TokenLearnerError extends Error {
  /** A stable, machine-readable code from the registry. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TokenLearnerError';
    this.code = code;
  }
}
