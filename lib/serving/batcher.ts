import '../dispose';
import { binding } from '../binding';
import type { AotiOutputValue } from '../aoti/model';
import { deviceCode } from '../device';
import type { FloatDType } from '../dtype';
import { TokenLearnerError } from '../errors';
import type { Module } from '../modules/module';
import type { Runnable } from '../modules/native';
import { batchRunnableOf } from '../modules/plan';
import { checkRequest, controlOf, request, REQUEST_OPTIONS } from '../modules/request';
import { adopted, checkInput, type Outputs } from '../modules/run';
import { assertNotDisposed, className, demandState, type ForwardCall, isModule } from '../modules/state';
import { TokenFuser } from '../modules/token-fuser';
import type { TokensAndAttention } from '../modules/token-pooling';
import type { BatcherHandle, NativeTensor } from '../native-interface';
import { type AnyTensor, flattened, type Tensor } from '../tensor/tensor';
import { uncloneable } from '../uncloneable';
import {
  brand,
  checkBoolean,
  checkInteger,
  checkOptions,
  describe,
  isPlainObject,
  unexpected,
} from '../validate';
import {
  type BatcherCloseOptions,
  type BatcherForwardOptions,
  type BatcherOptions,
  type BatcherSettings,
  checkBatcherOptions,
} from './options';
import { type BatcherStats, statsOf } from './stats';

interface With {
  returnAttention: true;
}
interface Without {
  returnAttention?: false | undefined;
}

type Result<D extends FloatDType> = Tensor<D> | TokensAndAttention<D>;

/** The key of the method that holds a batcher's queue, for tests. */
const HOLD = Symbol.for('tokenlearner.batcher.hold');

/** Checks a module's own options for a forward that takes only those of every request. */
function plainCall(_input: unknown, options: unknown, allowed: readonly string[]): ForwardCall {
  const control = checkRequest(checkOptions('options', options, allowed));
  return { how: undefined, control, results: ([output]: Outputs<FloatDType>) => output };
}

/** The options of a forward, beside the module's own. */
const FORWARD_OPTIONS = [...REQUEST_OPTIONS, 'priority'];

const NO_CALL: ForwardCall = plainCall(undefined, undefined, []);

/** The guard of public methods. Throws ERR_INVALID_THIS. */
let checkThis: (self: unknown) => Batcher;

/**
 * Joins the requests of many callers into batches, so that small ones use all cores and share the weights in the cache.
 *
 * A batch takes what waits when the device is free. On the fused CPU engine inputs of any sizes share a batch, are read where they
 * are, and give bit for bit what `model.forward` gives. docs/serving.md says which other modules join requests, and how exactly.
 *
 * @example
 * ```ts
 * import { Batcher, Tensor, TokenLearner } from 'tokenlearner';
 *
 * const model = new TokenLearner({ dim: 64 });
 * const batcher = new Batcher(model, { maxBatchSize: 64, maxQueueSize: 1000, timeoutMs: 5000 });
 * const sizes = [7, 9, 14];
 * const results = await Promise.all(sizes.map((size) => batcher.forward(Tensor.randn([1, 64, size, size]))));
 * console.log(results.map(({ shape }) => shape)); // [ [ 1, 64, 8 ], [ 1, 64, 8 ], [ 1, 64, 8 ] ]
 * await batcher.close();
 * ```
 */
export class Batcher {
  static {
    brand(this.prototype, 'a Batcher');
  }

  /** Makes structured cloning throw with this text. @internal */
  readonly cloning = uncloneable('a Batcher; make one in each thread');
  readonly #model: Module;
  readonly #settings: BatcherSettings;
  readonly #handle: BatcherHandle;
  #lastId = 0;
  /** Requests that native code has not settled. */
  #pending = 0;
  #onIdle: (() => void)[] = [];

  /**
   * @param model - a module of this package, or a Sequential of such modules. The batcher does not own it.
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE (also for a module with a forward of its own, which only
   * its own code can run), ERR_OUT_OF_RANGE, ERR_CUDA_UNAVAILABLE, ERR_DISPOSED.
   */
  constructor(model: Module, options?: BatcherOptions) {
    if (!isModule(model)) throw unexpected('ERR_INVALID_ARG_TYPE', 'model', 'a module', model);
    this.#settings = checkBatcherOptions(options);
    const { handle } = demandRunnable(model);
    this.#model = model;
    const { limits, devices } = this.#settings;
    this.#handle = binding().createBatcher(limits, devices.map(deviceCode), handle.id);
  }

  /** The module whose forward runs. */
  get model(): Module {
    return checkThis(this).#model;
  }

  /**
   * Runs the module on an input, together with other requests. The arguments are checked, and an input in JavaScript's memory is
   * copied, during the call; the parameters are those of that moment. The results are on the input's device.
   *
   * @param input - as for the module's own forward.
   * @param options - the module's own options; `signal` and `timeoutMs` work as there; `priority`.
   * @returns what the module's own forward returns. TypeScript cannot know what a compiled program returns: say it, as in
   * `batcher.forward<[Tensor, Tensor]>(x)`.
   * @throws TokenLearnerError (as a rejection) the errors of the module's forward; ERR_QUEUE_FULL; ERR_TIMEOUT as soon as the time
   * is over; ERR_CLOSED after {@link close}; the signal's reason.
   */
  async forward<D extends FloatDType>(
    input: Tensor<D>,
    options: BatcherForwardOptions & With,
  ): Promise<TokensAndAttention<D>>;
  async forward<D extends FloatDType>(
    input: Tensor<D>,
    options?: BatcherForwardOptions & Without,
  ): Promise<Tensor<D>>;
  async forward<D extends FloatDType>(
    input: Tensor<D>,
    options?: BatcherForwardOptions,
  ): Promise<Tensor<D> | TokensAndAttention<D>>;
  // The caller knows the program's outputs.
  async forward<R extends AotiOutputValue>(input: AnyTensor, options?: BatcherForwardOptions): Promise<R>;
  async forward<D extends FloatDType>(input: AnyTensor, options?: BatcherForwardOptions): Promise<Result<D>> {
    checkThis(this);
    const runnable = demandRunnable(this.#model);
    const { priority, call } = this.#check(input, options);
    const { how, control, results } = call;
    const timeoutMs = control.timeoutMs ?? this.#settings.timeoutMs;
    const id = ++this.#lastId;
    const native = binding();
    const start = (): Promise<NativeTensor[]> => {
      const flat = flattened(checkInput(runnable, input, how));
      const [batcher, layer, alone] = [this.#handle.id, runnable.handle.id, this.#pending === 0];
      const running = native.batchForward(batcher, layer, how, id, priority, timeoutMs, alone, ...flat);
      ++this.#pending;
      return running;
    };
    const { signal } = control;
    if (signal !== undefined) {
      const cancel = (): boolean => native.cancelBatched(this.#handle, id);
      return results(
        adopted(await request(controlOf(signal), () => this.#counted(start()), cancel)),
      ) as Result<D>;
    }
    // The same as counted(), without a second promise.
    const running = start();
    try {
      return results(adopted(await running)) as Result<D>;
    } finally {
      this.#settle();
    }
  }

  /** Counts a request as settled once native code has settled it, which may be after its caller has gone. */
  async #counted(running: Promise<NativeTensor[]>): Promise<NativeTensor[]> {
    try {
      return await running;
    } finally {
      this.#settle();
    }
  }

  #settle(): void {
    if (--this.#pending > 0) return;
    const waiting = this.#onIdle;
    this.#onIdle = [];
    for (const resume of waiting) resume();
  }

  /** Returns what waits and runs now, and what was done since the batcher was made. */
  stats(): BatcherStats {
    return statsOf(binding().batcherState(checkThis(this).#handle));
  }

  /**
   * Takes no further requests: they are ERR_CLOSED. Resolves when all that were accepted are settled. A second call with `drain`
   * false ends the draining of the first.
   */
  async close(options?: BatcherCloseOptions): Promise<void> {
    checkThis(this);
    const { drain } = checkOptions('options', options, ['drain']);
    binding().closeBatcher(this.#handle, checkBoolean('options.drain', drain ?? true));
    if (this.#pending > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = [...this.#onIdle, resolve];
      });
    }
  }

  /** Calls {@link close} at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** For tests: no batch begins until that many requests wait. Then the hold ends. @internal */
  [HOLD](requests: number): void {
    binding().holdBatcher(checkThis(this).#handle, requests);
  }

  /** Checks the options of one forward. */
  #check(input: unknown, options: unknown): { priority: number; call: ForwardCall } {
    if (options === undefined) {
      const { forwardCall } = demandState(this.#model);
      return { priority: 0, call: forwardCall?.(input, undefined, []) ?? NO_CALL };
    }
    if (!isPlainObject(options))
      throw unexpected('ERR_INVALID_ARG_TYPE', 'options', 'a plain object', options);
    // A copy that does not inherit a priority.
    const { priority, ...own } = Object.assign(Object.create(null) as typeof options, options);
    const { forwardCall = plainCall } = demandState(this.#model);
    const range = { min: 0, max: this.#settings.levels - 1 };
    return {
      priority: priority === undefined ? 0 : checkInteger('options.priority', priority, range),
      call: forwardCall(input, own, FORWARD_OPTIONS),
    };
  }

  static {
    checkThis = (self) => {
      if (typeof self === 'object' && self !== null && #handle in self) return self;
      throw new TokenLearnerError(
        'ERR_INVALID_THIS',
        `Expected \`this\` to be a Batcher but received ${describe(self)}`,
      );
    };
  }
}

/** The native request that a module's forward is. Throws ERR_INVALID_ARG_VALUE, ERR_DISPOSED. */
function demandRunnable(model: Module): Runnable {
  assertNotDisposed(model);
  if (model instanceof TokenFuser) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      'Expected a module of one input for `model` but received a TokenFuser, which takes two: call its forward',
    );
  }
  const runnable = batchRunnableOf(model);
  if (runnable !== undefined) return runnable;
  throw new TokenLearnerError(
    'ERR_INVALID_ARG_VALUE',
    `Expected a module whose forward is this package's own for \`model\` but received a ${className(model)} with a forward of ` +
      'its own: make a Batcher for each module that it calls',
  );
}
