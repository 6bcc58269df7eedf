/** One model: its module, its runner, and what is told about it. */
import { Module, TokenFuser, TokenLearnerError } from 'tokenlearner';
import type { BatchingOptions, ModelSource } from '../options';
import { Problem } from '../problem';
import { Budget, type Reservation } from './budget';
import { addFigures, type Figures } from './figures';
import { LiveModel } from './live-model';
import { load } from './loader';
import type { ModelMetadata } from './metadata';
import type { RunnerLimits } from './runner';
import { ModelStatistics } from './statistics';

/** The only version of each model. */
export const VERSION = '1';

/** A model, and what of it a request began with. */
export interface Target {
  model: ServedModel;
  live: LiveModel;
}

export class ServedModel {
  readonly name: string;
  readonly statistics = new ModelStatistics();
  readonly #source: ModelSource;
  readonly #options: BatchingOptions & RunnerLimits;
  readonly #budget: Budget;
  readonly #onChange: () => void;
  #live: LiveModel | undefined;
  #closed = false;
  /** Those that a reload has replaced and that still work, and the figures of those that are done. */
  readonly #retiring = new Set<LiveModel>();
  readonly #past: Figures[] = [];
  #reloading: Promise<unknown> = Promise.resolve();

  /** @param onChange - called when {@link ready} may have changed */
  constructor(
    name: string,
    source: ModelSource,
    options: BatchingOptions & RunnerLimits,
    onChange: () => void,
  ) {
    this.name = name;
    this.#onChange = onChange;
    this.#source = source;
    this.#options = options;
    this.#budget = new Budget(
      options.maxQueueBytes,
      (exact) => this.#live?.runner.waiting(exact).queuedBytes ?? 0,
    );
  }

  /** False for a module that the program made. */
  get hasPath(): boolean {
    return !(this.#source instanceof Module);
  }

  get ready(): boolean {
    return this.#live !== undefined && !this.#closed && !this.isLost;
  }

  /** See {@link LiveModel.isLost}. */
  get isLost(): boolean {
    return this.#live?.isLost === true;
  }

  /** Throws a Problem while the model is not loaded. */
  get metadata(): ModelMetadata {
    return this.#demand().metadata;
  }

  /** False if each request runs alone. Throws a Problem while the model is not loaded. */
  get isBatched(): boolean {
    return this.#demand().runner.isBatched;
  }

  /** What a request runs on, which has to release it at its end. Throws a Problem while the model is not loaded. */
  take(): LiveModel {
    return this.#demand().take();
  }

  /** The figures since the start, over all loads. */
  figures(): Figures {
    const working = [this.#live, ...this.#retiring].flatMap((live) => live?.runner.figures() ?? []);
    return addFigures([...this.#past, ...working]);
  }

  /**
   * Makes room for a request whose body has not been read. Throws a Problem: 'busy' if the queue is full, 'too-large' if the input never
   * fits, 'unavailable' while the model is not loaded.
   */
  admit(bytes: number): Reservation {
    const { runner } = this.#demand();
    const isFull = (exact: boolean): boolean => runner.waiting(exact).queued >= this.#options.maxQueueSize;
    if (isFull(false) && isFull(true)) throw new Problem('busy', 'The queue is full; try again later');
    return this.#budget.reserve(bytes);
  }

  /** Loads the model for the first time. Throws ERR_CLOSED if it is closed meanwhile. */
  start(): Promise<void> {
    return this.#load();
  }

  /**
   * Loads the model from its path again. Requests go to the old one until the new one is ready, and those that have begun stay with it.
   * If it fails, the old one stays. Throws ERR_INVALID_ARG_VALUE for a module that the program made; ERR_CLOSED.
   */
  reload(): Promise<void> {
    const next = this.#reloading.then(() => this.#replace());
    this.#reloading = next.catch(() => undefined);
    return next;
  }

  /** Rejects what waits. Resolves once no native code runs; does not wait for a module's JavaScript, which need not end. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#live === undefined) return;
    const retired = this.#live.retire(false);
    if (this.isBatched) await retired;
  }

  async #replace(): Promise<void> {
    if (!this.hasPath)
      throw new TokenLearnerError(
        'ERR_INVALID_ARG_VALUE',
        `The model ${this.name} was made by the program: it has no path to load from`,
      );
    this.#demandOpen();
    await this.#load();
  }

  /** Loads the model, and puts it in place of the old one, if there is one. */
  async #load(): Promise<void> {
    const loaded = await load(this.#source);
    try {
      this.#demandOpen();
      if (loaded.module instanceof TokenFuser)
        throw new TokenLearnerError(
          'ERR_INVALID_ARG_VALUE',
          `Expected a module of one input for the model ${this.name} but received a TokenFuser, which takes two`,
        );
      const old = this.#live;
      this.#live = new LiveModel(loaded, this.#options, this.#onChange);
      this.#onChange();
      if (old !== undefined) void this.#retire(old);
    } catch (error) {
      if (loaded.isOwn) loaded.module.dispose();
      throw error;
    }
  }

  /** Lets a model that was replaced finish what has begun with it. */
  async #retire(old: LiveModel): Promise<void> {
    this.#retiring.add(old);
    await old.retire(true);
    this.#retiring.delete(old);
    this.#past.push(addFigures([...this.#past.splice(0), old.runner.figures()]));
  }

  #demandOpen(): void {
    if (this.#closed) throw new TokenLearnerError('ERR_CLOSED', 'The server is closing');
  }

  #demand(): LiveModel {
    if (this.#live === undefined)
      throw new Problem('unavailable', `The model ${this.name} is not loaded yet`);
    return this.#live;
  }
}
