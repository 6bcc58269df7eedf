import { types } from 'node:util';
import codes from './error-codes.json';

/** Every code a {@link TokenLearnerError} can carry. The registry is `error-codes.json`, shared with the native code. */
export type ErrorCode = keyof typeof codes;

const BRAND = Symbol.for('tokenlearner.error');

/** The one error class of this package: `code` is stable and machine-readable, `message` is for people. */
export class TokenLearnerError extends Error {
  static {
    Object.defineProperty(this.prototype, BRAND, { value: true });
    // Not assigned to `this`, which fails where Error.prototype is frozen.
    Object.defineProperty(this.prototype, 'name', {
      value: 'TokenLearnerError',
      writable: true,
      configurable: true,
    });
  }

  /**
   * A process may hold several copies of this package: the CommonJS and the ESM entry, two installed versions, modules that a
   * test runner has reloaded. An error from one copy is an instance of the class of every other copy.
   */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this !== TokenLearnerError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === 'object' && value !== null && BRAND in value;
  }

  /** A stable, machine-readable code from the registry. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The message of a caught value. Node's own errors may come from another realm, where instanceof Error fails. */
export function messageOf(error: unknown): string {
  return types.isNativeError(error) ? error.message : String(error);
}
