import codes from './error-codes.json';

/** Every code a {@link TokenLearnerError} can carry. The registry is `error-codes.json`, shared with the native code. */
export type ErrorCode = keyof typeof codes;

const BRAND = Symbol.for('tokenlearner.error');

/** The one error class of this package: `code` is stable and machine-readable, `message` is for people. */
export class TokenLearnerError extends Error {
  static {
    Object.defineProperty(this.prototype, BRAND, { value: true });
  }

  /**
   * Errors of every copy of this package in the process are instances of every copy's class: of the CommonJS and the ESM
   * entry, of two installed versions, of modules that a test runner has loaded anew.
   */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this !== TokenLearnerError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === 'object' && value !== null && BRAND in value;
  }

  /** A stable, machine-readable code from the registry. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TokenLearnerError';
    this.code = code;
  }
}
