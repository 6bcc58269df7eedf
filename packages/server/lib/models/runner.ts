import type { AbortSignalLike, AnyTensor, AotiOutputValue, Tensor } from 'tokenlearner';
import type { Figures } from './figures';

/** Options of one run. */
export interface RunOptions {
  signal: AbortSignalLike;
  /** In milliseconds. */
  timeoutMs?: number;
  priority?: number;
  /** For a TokenPooling only. */
  returnAttention?: true;
}

/** What a module returns: a tensor; a TokenPooling with its maps, both; a compiled program, whatever it has. */
export type RunResult = AotiOutputValue | { tokens: Tensor; attention: Tensor };

/** The bytes of all inputs. */
export function byteLength(inputs: readonly AnyTensor[]): number {
  return inputs.reduce((sum, input) => sum + input.byteLength, 0);
}

/** Runs a model's requests, with a bounded queue. */
export interface Runner {
  /** False if each request runs alone. */
  readonly isBatched: boolean;
  /** True if native code alone sees the inputs, and keeps none. JavaScript of a model may keep its input, or return a view of it. */
  readonly isNative: boolean;
  /**
   * Resolves to tensors over memory that nothing else uses; the caller disposes them. Rejects with ERR_QUEUE_FULL, ERR_TIMEOUT, ERR_CLOSED, ERR_INVALID_ARG_VALUE for an option that does not apply, the module's own errors,
   * and the signal's reason.
   */
  forward(inputs: readonly AnyTensor[], options: RunOptions): Promise<RunResult>;
  /** To be asked once a request has failed with ERR_DEVICE_LOST: true if another device of the model takes the next ones. */
  hasOtherDevice(): boolean;
  figures(): Figures;
  /** What waits. Not `exact` is cheap, for each new request, and may count those that run. */
  waiting(exact: boolean): Pick<Figures, 'queued' | 'queuedBytes'>;
  /**
   * Refuses new requests. Resolves once those under way are done, also those whose client has an answer already; with `drain` false
   * those that wait are rejected.
   */
  close(drain: boolean): Promise<void>;
}

/** The earliest of some times; undefined if none is given. */
export function earliest(...times: (number | undefined)[]): number | undefined {
  const given = times.filter((time) => time !== undefined);
  return given.length === 0 ? undefined : Math.min(...given);
}

/** The limits of a {@link Runner}. */
export interface RunnerLimits {
  maxQueueSize: number;
  maxQueueBytes: number;
}
