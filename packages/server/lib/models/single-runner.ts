/** Runs each request of a module by itself: for modules whose class computes the output in JavaScript, which cannot be batched. */
import { type AnyTensor, AotiModel, type Module, Tensor, TokenLearnerError } from 'tokenlearner';
import { Problem } from '../problem';
import { BucketCounter, type Figures } from './figures';
import { byteLength, type Runner, type RunnerLimits, type RunOptions, type RunResult } from './runner';

/** Requests that run at a time. The parts of them that are native share the device's executor. */
const CONCURRENT = 8;

/**
 * Errors of arguments that a module's JavaScript has chosen: its own faults. A wrong shape or dtype can be the request's, whose input a
 * module passes on.
 */
const OWN_FAULTS: readonly TokenLearnerError['code'][] = [
  'ERR_INVALID_ARG_TYPE',
  'ERR_INVALID_ARG_VALUE',
  'ERR_OUT_OF_RANGE',
];

interface Waiting {
  bytes: number;
  begin(): void;
  reject(reason: unknown): void;
}

/** True for a compiled program that no class has given another way to run. */
function isNative(module: Module): module is AotiModel {
  return module instanceof AotiModel && module.runNamed === AotiModel.prototype.runNamed;
}

const isTensor = (value: unknown): value is Tensor => value instanceof Tensor;

/**
 * A copy of what a module's JavaScript returned, or null if that is nothing that a model may return. The original is the module's: it can be
 * the input, or a tensor that the module keeps and writes again. So it is not disposed, and never sent.
 */
function copied(result: unknown): RunResult {
  if (isTensor(result)) return copyOf(result);
  const { tokens, attention } = Object(result) as Record<string, unknown>;
  if (!isTensor(tokens) || !isTensor(attention)) return null;
  return { tokens: copyOf(tokens), attention: copyOf(attention) };
}

/** Row by row, on the CPU. */
function copyOf(tensor: Tensor): Tensor {
  const host = tensor.cpu();
  return host === tensor ? tensor.clone() : host;
}

export class SingleRunner implements Runner {
  readonly isBatched = false;
  readonly isNative: boolean;
  readonly #module: Module;
  readonly #limits: RunnerLimits;
  readonly #waiting = new Set<Waiting>();
  #running = 0;
  #queuedBytes = 0;
  #closed = false;
  #onDone: (() => void) | undefined;
  /** `executions` are the runs that began, the rest is of those that succeeded: as the Batcher counts. */
  readonly #counts = { requests: 0, images: 0, executions: 0, queueMs: 0, computeMs: 0 };
  readonly #batchSizes = new BucketCounter('sizes');
  readonly #queueTimes = new BucketCounter('seconds');

  constructor(module: Module, limits: RunnerLimits) {
    this.#module = module;
    this.isNative = isNative(module);
    this.#limits = limits;
  }

  async forward(
    inputs: readonly AnyTensor[],
    { signal, timeoutMs, priority, ...own }: RunOptions,
  ): Promise<RunResult> {
    if (this.#closed) throw new TokenLearnerError('ERR_CLOSED', 'The model is closed');
    if (priority !== undefined && priority !== 0)
      throw new TokenLearnerError(
        'ERR_INVALID_ARG_VALUE',
        'This model has no priorities: its requests run alone',
      );
    // The caller chooses the reason.
    if (signal.aborted) throw signal.reason;
    const stop = new AbortController();
    const abort = (): void => {
      stop.abort(signal.reason);
    };
    signal.addEventListener('abort', abort);
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            stop.abort(
              new TokenLearnerError('ERR_TIMEOUT', `The forward did not finish within ${timeoutMs} ms`),
            );
          }, timeoutMs);
    try {
      const queueMs = await this.#turn(byteLength(inputs), stop.signal);
      return await this.#run(inputs, { ...own, signal: stop.signal }, queueMs);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }

  hasOtherDevice(): boolean {
    return false;
  }

  figures(): Figures {
    return {
      ...this.#counts,
      ...this.waiting(),
      batchSizes: this.#batchSizes.buckets(),
      queueTimes: this.#queueTimes.buckets(),
    };
  }

  waiting(): Pick<Figures, 'queued' | 'queuedBytes'> {
    return { queued: this.#waiting.size, queuedBytes: this.#queuedBytes };
  }

  close(drain: boolean): Promise<void> {
    this.#closed = true;
    if (!drain)
      for (const each of [...this.#waiting])
        each.reject(new TokenLearnerError('ERR_CLOSED', 'The model is closed'));
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onDone = resolve;
    });
  }

  /** Waits for a free place. Resolves to the time that it took, in milliseconds. */
  #turn(bytes: number, signal: AbortSignal): Promise<number> {
    if (this.#running < CONCURRENT) {
      this.#running += 1;
      this.#queueTimes.observe(0);
      return Promise.resolve(0);
    }
    if (
      this.#waiting.size >= this.#limits.maxQueueSize ||
      this.#queuedBytes + bytes > this.#limits.maxQueueBytes
    )
      throw new TokenLearnerError('ERR_QUEUE_FULL', 'The queue is full; try again later');
    const started = performance.now();
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(waiting);
        this.#queuedBytes -= bytes;
        signal.removeEventListener('abort', onAbort);
      };
      const waiting: Waiting = {
        bytes,
        begin: () => {
          leave();
          const queueMs = performance.now() - started;
          this.#queueTimes.observe(queueMs / 1000);
          resolve(queueMs);
        },
        reject: (reason) => {
          leave();
          // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
          reject(reason);
        },
      };
      const onAbort = (): void => {
        waiting.reject(signal.reason);
      };
      this.#waiting.add(waiting);
      this.#queuedBytes += bytes;
      signal.addEventListener('abort', onAbort);
    });
  }

  /** Runs the module. An abort rejects at once; the place is free once the module is done. */
  #run(
    inputs: readonly AnyTensor[],
    options: Pick<RunOptions, 'signal' | 'returnAttention'>,
    queueMs: number,
  ): Promise<RunResult> {
    const { signal } = options;
    const started = performance.now();
    const images = inputs[0]?.shape[0] ?? 1;
    this.#counts.executions += 1;
    this.#batchSizes.observe(images);
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => {
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
        reject(signal.reason);
      });
      // An async function, so that a module that throws at once rejects too.
      const running = this.#call(inputs, options);
      const succeed = (result: RunResult): void => {
        if (!signal.aborted) {
          this.#counts.requests += 1;
          this.#counts.images += images;
          this.#counts.queueMs += queueMs;
          this.#counts.computeMs += performance.now() - started;
        }
        resolve(result);
      };
      running.then(succeed, reject).finally(() => {
        this.#next();
      });
    });
  }

  /** Calls the module. A compiled program takes its inputs by name, and gives its outputs so. */
  async #call(
    inputs: readonly AnyTensor[],
    options: Pick<RunOptions, 'signal' | 'returnAttention'>,
  ): Promise<RunResult> {
    const module = this.#module;
    if (!isNative(module)) return this.#callJavaScript(module, inputs, options);
    const named = module.inputs.map(({ name }, i) => [name, inputs[i]]);
    return module.runNamed(Object.fromEntries(named) as Record<string, AnyTensor>, options);
  }

  async #callJavaScript(
    module: Module,
    inputs: readonly AnyTensor[],
    options: Pick<RunOptions, 'signal' | 'returnAttention'>,
  ): Promise<RunResult> {
    try {
      return copied(await module.forward(inputs[0], options));
    } catch (error) {
      if (error instanceof TokenLearnerError && OWN_FAULTS.includes(error.code))
        throw new Problem('internal', 'The model failed', { cause: error });
      throw error;
    }
  }

  /** Gives a free place to the next one. */
  #next(): void {
    const [next] = this.#waiting;
    if (next !== undefined) {
      next.begin();
      return;
    }
    this.#running -= 1;
    if (this.#running === 0) this.#onDone?.();
  }
}
