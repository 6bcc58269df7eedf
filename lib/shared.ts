import './dispose';
import { binding } from './binding';
import { unexpected } from './validate';

/** What a token is of. */
export type SharedKind = 'shared-module' | 'shared-tensor';

/**
 * A token as other threads receive it: `openShared` opens it, in every thread of the process. It is plain data, so that
 * `postMessage`, `workerData`, `BroadcastChannel` and `structuredClone` carry it.
 */
export interface SharedToken<T = unknown> {
  /** What the token is of. */
  readonly tokenlearner: SharedKind;
  /** 128 random bits. */
  readonly id: string;
  /** For the compiler only: the type of what `openShared` returns. There is no such property. */
  readonly opens?: T | undefined;
}

/**
 * The token that `share()` and `move()` return. Its copies in other threads are plain objects: see {@link SharedToken}.
 *
 * @example
 * ```ts
 * import { openShared, type Shared, Tensor } from 'tokenlearner';
 *
 * const token: Shared<Tensor> = Tensor.ones([2, 3]).share();
 * console.log(openShared(token).shape); // [ 2, 3 ]
 * token.dispose(); // from now on nobody can open it
 * ```
 */
export class Shared<T = unknown> implements SharedToken<T> {
  /** What the token is of. */
  readonly tokenlearner: SharedKind;
  /** 128 random bits. */
  readonly id: string;
  /** For the compiler only. @ignore */
  declare readonly opens?: T | undefined;

  /** @internal */
  constructor(kind: SharedKind, id: string) {
    this.tokenlearner = kind;
    this.id = id;
    Object.freeze(this);
  }

  /**
   * Ends the offer: opening the token then fails with ERR_SHARED_NOT_FOUND. What was opened before stays usable. A second call does
   * nothing.
   */
  dispose(): void {
    binding().unshare(this.id);
  }

  /** Calls {@link dispose} at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

const EXPECTED = 'the token of share() or move()';

/** Checks a token, also a copy or one from JSON. Throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE. */
export function checkToken(token: unknown): { kind: SharedKind; id: string } {
  if (typeof token !== 'object' || token === null)
    throw unexpected('ERR_INVALID_ARG_TYPE', 'token', EXPECTED, token);
  const { tokenlearner: kind, id } = token as Partial<SharedToken>;
  if (kind !== 'shared-module' && kind !== 'shared-tensor')
    throw unexpected('ERR_INVALID_ARG_TYPE', 'token', EXPECTED, token);
  if (typeof id !== 'string' || !/^[0-9a-f]{32}$/.test(id))
    throw unexpected('ERR_INVALID_ARG_VALUE', 'token.id', '32 hexadecimal digits', id);
  return { kind, id };
}
