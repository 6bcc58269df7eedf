import { binding } from './binding';
import { unexpected } from './validate';

// torch.manual_seed's range.
const LOWEST = -(2n ** 63n);
const HIGHEST = 2n ** 64n - 1n;
const EXPECTED = 'an integer from -2^63 to 2^64 - 1';

/**
 * Seeds this environment's random generator, as `torch.manual_seed` seeds PyTorch's. Modules that you create next get the
 * same parameters, bit for bit, as in PyTorch on the CPU. Each worker thread has its own generator.
 *
 * @param seed - an integer from -2^63 to 2^64 - 1; negative seeds count from 2^64, as in PyTorch.
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE.
 *
 * @example
 * ```ts
 * import { manualSeed, Tensor } from 'tokenlearner';
 *
 * manualSeed(0);
 * console.log(Tensor.rand([3])); // tensor([0.4963, 0.7682, 0.0885])
 * ```
 */
export function manualSeed(seed: number | bigint): void {
  if (typeof seed !== 'number' && typeof seed !== 'bigint') {
    throw unexpected('ERR_INVALID_ARG_TYPE', 'seed', EXPECTED, seed);
  }
  if (typeof seed === 'number' && !Number.isSafeInteger(seed)) {
    throw unexpected('ERR_OUT_OF_RANGE', 'seed', `${EXPECTED} (a bigint beyond 2^53)`, seed);
  }
  const wide = BigInt(seed);
  if (wide < LOWEST || wide > HIGHEST) throw unexpected('ERR_OUT_OF_RANGE', 'seed', EXPECTED, seed);
  binding().manualSeed(BigInt.asUintN(64, wide));
}
