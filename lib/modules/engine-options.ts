/** The options of layers with a fused engine and one on libtorch. */
import type { Device } from '../device';
import { checkInteger } from '../validate';

// A sanity limit; larger values are almost certainly typos.
const MOST_THREADS = 4096;

/** Checks `options.intraOpThreads`. Throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE. */
export function checkThreads(given: unknown): number {
  return checkInteger('options.intraOpThreads', given ?? 0, { min: 0, max: MOST_THREADS });
}

/** The user of libtorch that errors name; null on the CPU, where the fused engine needs none. */
export function libtorchUser(layer: string, engine: string, device: Device): string | null {
  if (engine !== 'auto' && engine !== 'fused') return `Engine '${engine}'`;
  return device === 'cpu' ? null : `A ${layer} on '${device}'`;
}
