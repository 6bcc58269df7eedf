import { openModule } from './modules/share';
import type { Module } from './modules/module';
import { checkToken, type SharedToken } from './shared';
import { openTensor } from './tensor/share';
import type { AnyTensor } from './tensor/tensor';
import { unexpected } from './validate';

/**
 * Opens what another thread of this process shared with `module.share()`, `tensor.share()` or `tensor.move()`.
 *
 * A module is of the same classes and runs on the same parameters, which are not copied. They cannot change: `loadStateDict`, and
 * `to` with another device or dtype, throw ERR_SHARED_READ_ONLY. `stateDict()` gives copies. A tensor is over the same memory.
 * Each call returns a new module or tensor, to be disposed on its own.
 *
 * @param token - the token, or a copy of it.
 * @param build - makes a module of the same structure, for modules with classes of your own: `() => new Net()`. The layers that it
 * creates get the shared parameters, and none of their own.
 * @throws TokenLearnerError ERR_SHARED_NOT_FOUND if the token was disposed, its thread has ended, or it is of another process, and for
 * a moved tensor that was opened; ERR_INVALID_ARG_TYPE for anything but a token, or if `build` is needed; ERR_INVALID_ARG_VALUE if `build`
 * makes another structure.
 *
 * @example
 * ```ts
 * import { openShared, Tensor, TokenLearner } from 'tokenlearner';
 *
 * const token = structuredClone(new TokenLearner({ dim: 64 }).share()); // as postMessage or workerData carries it
 * const model = openShared<TokenLearner>(token);
 * console.log((await model.forward(Tensor.zeros([1, 64, 4, 4]))).shape); // [ 1, 64, 8 ]
 * ```
 */
export function openShared<T extends Module | AnyTensor>(token: SharedToken<T>, build?: () => T & Module): T {
  const { kind, id } = checkToken(token);
  if (kind === 'shared-module') return openModule(id, build) as T;
  if (build !== undefined)
    throw unexpected('ERR_INVALID_ARG_VALUE', 'build', 'no function for a tensor', build);
  return openTensor(id) as T;
}
