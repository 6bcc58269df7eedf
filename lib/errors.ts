import codes from './error-codes.json';

/** Every code of a {@link TokenLearnerError}. The registry is `error-codes.json`, which native code uses too. */
export type ErrorCode = keyof typeof codes;

const BRAND = Symbol.for('tokenlearner.error');

/**
 * The only error class of this package. `code` is stable and for programs; `message` is for people.
 *
 * @example
 * ```ts
 * import { Tensor, TokenLearnerError } from 'tokenlearner';
 *
 * try {
 *   Tensor.ones([2, 3]).view([4]);
 * } catch (error) {
 *   if (!(error instanceof TokenLearnerError)) throw error;
 *   console.log(error.code); // ERR_SHAPE_MISMATCH
 * }
 * ```
 */
export class TokenLearnerError extends Error {
  static {
    Object.defineProperty(this.prototype, BRAND, { value: true });
    // Assigning `this.name` would fail if Error.prototype is frozen.
    Object.defineProperty(this.prototype, 'name', {
      value: 'TokenLearnerError',
      writable: true,
      configurable: true,
    });
  }

  /**
   * True for an error from any copy of this package. A process may hold several copies: the CommonJS and the ESM entry, two
   * installed versions, or modules that a test runner has reloaded.
   */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this !== TokenLearnerError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === 'object' && value !== null && BRAND in value;
  }

  /** A stable code from the registry, for programs. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/**
 * The message of a caught value. Node's own errors may come from another realm, so `instanceof Error` is not enough. This file
 * imports no module of Node: bundled.ts throws its error where none can be imported.
 */
export function messageOf(error: unknown): string {
  return Object.prototype.toString.call(error) === '[object Error]'
    ? (error as Error).message
    : String(error);
}
