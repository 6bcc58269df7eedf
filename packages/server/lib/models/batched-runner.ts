/** Runs a model's requests through the Batcher of the main package. */
import {
  type AnyTensor,
  Batcher,
  type BatcherStats,
  type Module,
  type Tensor,
  TokenLearnerError,
} from 'tokenlearner';
import type { BatchingOptions } from '../options';
import type { Buckets, Figures } from './figures';
import { byteLength, type Runner, type RunnerLimits, type RunOptions, type RunResult } from './runner';

const MILLISECONDS = 1000;

export class BatchedRunner implements Runner {
  readonly isBatched = true;
  readonly isNative = true;
  readonly #batcher: Batcher;
  readonly #levels: number;
  readonly #hasReplicas: boolean;
  /** Requests that are not settled, and the bytes of their inputs. */
  #outstanding = 0;
  #outstandingBytes = 0;

  constructor(module: Module, options: BatchingOptions & RunnerLimits) {
    this.#batcher = new Batcher(module, options);
    this.#levels = options.priorityLevels ?? 1;
    this.#hasReplicas = options.devices !== undefined;
  }

  async forward(inputs: readonly AnyTensor[], { priority, ...own }: RunOptions): Promise<RunResult> {
    const bytes = byteLength(inputs);
    const options = priority === undefined ? own : { ...own, priority: this.#level(priority) };
    this.#outstanding += 1;
    this.#outstandingBytes += bytes;
    try {
      return await this.#batcher.forward(inputs[0] as Tensor, options);
    } finally {
      this.#outstanding -= 1;
      this.#outstandingBytes -= bytes;
    }
  }

  /** Without `devices` the batcher does not tell which are lost. */
  hasOtherDevice(): boolean {
    return this.#hasReplicas && this.#batcher.stats().devices.some(({ lost }) => !lost);
  }

  figures(): Figures {
    const stats = this.#batcher.stats();
    const { succeeded, images, batches, queued, queuedBytes, durations, batchSize, queueTime } = stats;
    return {
      requests: succeeded,
      images,
      executions: batches,
      queued,
      queuedBytes,
      queueMs: durations.queue,
      computeMs: durations.compute,
      batchSizes: buckets(batchSize, 1),
      queueTimes: buckets(queueTime, MILLISECONDS),
    };
  }

  waiting(exact: boolean): Pick<Figures, 'queued' | 'queuedBytes'> {
    return exact ? this.#batcher.stats() : { queued: this.#outstanding, queuedBytes: this.#outstandingBytes };
  }

  close(drain: boolean): Promise<void> {
    return this.#batcher.close({ drain });
  }

  /** The protocol's priority as the Batcher's: there 1 is the most urgent and 0 the default; here a larger number is more urgent. */
  #level(priority: number): number {
    if (priority > this.#levels)
      throw new TokenLearnerError(
        'ERR_OUT_OF_RANGE',
        `Expected a priority from 0 to ${this.#levels} but received ${priority}`,
      );
    return priority === 0 ? 0 : this.#levels - priority;
  }
}

/** A histogram of the Batcher, with its bounds divided. */
function buckets({ bounds, counts, sum }: BatcherStats['batchSize'], divisor: number): Buckets {
  return {
    sum: sum / divisor,
    buckets: counts.map((count, i) => ({ le: (bounds[i] ?? Infinity) / divisor, count })),
  };
}
