/** One model: its module, its runner, and what is told about it. */
import {
  type AbortSignalLike,
  type AnyTensor,
  AotiModel,
  Module,
  Tensor,
  TokenFuser,
  TokenLearnerError,
  TokenPooling,
} from 'tokenlearner';
import type { BatchingOptions, ModelSource } from '../options';
import { invalid, Problem } from '../problem';
import { Budget, type Reservation } from './budget';
import { createRunner } from './create-runner';
import { addFigures, type Figures } from './figures';
import { load } from './loader';
import { ATTENTION, metadataOf, type ModelMetadata, OUTPUT, TOKENS } from './metadata';
import type { Runner, RunnerLimits, RunResult } from './runner';
import { ModelStatistics } from './statistics';

/** The only version of each model. */
export const VERSION = '1';

/** What a request asks of a model, beside its input. */
export interface Call {
  /** The outputs by name, in the order of the answer. */
  outputs: readonly string[];
  signal: AbortSignalLike;
  /** In milliseconds. */
  timeoutMs?: number;
  priority?: number;
}

export interface NamedTensor {
  name: string;
  tensor: AnyTensor;
}

interface Live {
  module: Module;
  runner: Runner;
  metadata: ModelMetadata;
  isOwn: boolean;
}

export class ServedModel {
  readonly name: string;
  readonly statistics = new ModelStatistics();
  readonly #source: ModelSource;
  readonly #options: BatchingOptions & RunnerLimits;
  readonly #budget: Budget;
  #live: Live | undefined;
  #closed = false;
  /** The runners that a reload has replaced and that still work, and the figures of those that are done. */
  readonly #retiring = new Set<Runner>();
  readonly #past: Figures[] = [];
  #reloading: Promise<unknown> = Promise.resolve();

  constructor(name: string, source: ModelSource, options: BatchingOptions & RunnerLimits) {
    this.name = name;
    this.#source = source;
    this.#options = options;
    this.#budget = new Budget(
      options.maxQueueBytes,
      (exact) => this.#live?.runner.waiting(exact).queuedBytes ?? 0,
    );
  }

  get ready(): boolean {
    return this.#live !== undefined && !this.#closed;
  }

  /** Throws a Problem while the model is not loaded. */
  get metadata(): ModelMetadata {
    return this.#demand().metadata;
  }

  /** False if each request runs alone. Throws a Problem while the model is not loaded. */
  get isBatched(): boolean {
    return this.#demand().runner.isBatched;
  }

  /** The figures since the start, over all loads. */
  figures(): Figures {
    const working = [this.#live?.runner, ...this.#retiring].flatMap((runner) => runner?.figures() ?? []);
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

  /** The outputs that a request gets: those that it names; otherwise `tokens` alone, or all that another module has. */
  chooseOutputs(names: readonly string[]): string[] {
    const known = this.metadata.outputs.map(({ name }) => name);
    const stranger = names.find((name) => !known.includes(name));
    if (stranger !== undefined)
      throw invalid(`Expected outputs among ${known.join(', ')} but received ${JSON.stringify(stranger)}`);
    if (new Set(names).size !== names.length) throw invalid('Expected each output once');
    if (names.length > 0) return known.filter((name) => names.includes(name));
    return this.#demand().module instanceof TokenPooling ? known.filter((name) => name !== ATTENTION) : known;
  }

  /** Runs the model. Rejects with the errors of {@link Runner}. */
  async infer(inputs: readonly AnyTensor[], { outputs, ...call }: Call): Promise<NamedTensor[]> {
    const { module, runner } = this.#demand();
    if (module instanceof AotiModel) {
      const result = await runner.forward(inputs, call);
      return chosen(runner.isBatched ? module.nameOutputs(result) : (result as NamedOutputs), outputs);
    }
    if (!(module instanceof TokenPooling))
      return [{ name: OUTPUT, tensor: oneTensor(await runner.forward(inputs, call)) }];
    if (!outputs.includes(ATTENTION))
      return [{ name: TOKENS, tensor: oneTensor(await runner.forward(inputs, call)) }];
    const { tokens, attention } = both(await runner.forward(inputs, { ...call, returnAttention: true }));
    if (outputs.includes(TOKENS))
      return [
        { name: TOKENS, tensor: tokens },
        { name: ATTENTION, tensor: attention },
      ];
    tokens.dispose();
    return [{ name: ATTENTION, tensor: attention }];
  }

  /** Loads the model for the first time. */
  async start(): Promise<void> {
    this.#live = await this.#make();
  }

  /**
   * Loads the model from its path again. Requests go to the old one until the new one is ready, and those that have begun stay with it.
   * If it fails, the old one stays.
   */
  reload(): Promise<void> {
    const next = this.#reloading.then(() => this.#replace());
    this.#reloading = next.catch(() => undefined);
    return next;
  }

  /** Finishes what waits, or with `drain` false rejects it. */
  async close(drain: boolean): Promise<void> {
    this.#closed = true;
    await this.#reloading;
    const live = this.#live;
    if (live !== undefined) await this.#retire(live, drain);
  }

  async #replace(): Promise<void> {
    if (this.#source instanceof Module)
      throw invalid(`The model ${this.name} was made by the program: it has no path to load from`);
    if (this.#closed) throw new Problem('unavailable', 'The server is closing');
    const made = await this.#make();
    const old = this.#live;
    this.#live = made;
    if (old === undefined) return;
    this.#retiring.add(old.runner);
    await this.#retire(old, true);
  }

  async #make(): Promise<Live> {
    const { module, isOwn } = await load(this.#source);
    try {
      if (module instanceof TokenFuser)
        throw new TokenLearnerError(
          'ERR_INVALID_ARG_VALUE',
          `Expected a module of one input for the model ${this.name} but received a TokenFuser, which takes two`,
        );
      return { module, isOwn, runner: createRunner(module, this.#options), metadata: metadataOf(module) };
    } catch (error) {
      if (isOwn) module.dispose();
      throw error;
    }
  }

  async #retire({ runner, module, isOwn }: Live, drain: boolean): Promise<void> {
    await runner.close(drain);
    if (this.#retiring.delete(runner))
      this.#past.push(addFigures([...this.#past.splice(0), runner.figures()]));
    if (isOwn) module.dispose();
  }

  #demand(): Live {
    if (this.#live === undefined)
      throw new Problem('unavailable', `The model ${this.name} is not loaded yet`);
    return this.#live;
  }
}

type NamedOutputs = Readonly<Record<string, AnyTensor | null>>;

/** The outputs that a request asked for. The others are disposed. A program's None is no output. */
function chosen(all: NamedOutputs, names: readonly string[]): NamedTensor[] {
  for (const [name, tensor] of Object.entries(all)) if (!names.includes(name)) tensor?.dispose();
  return names.flatMap((name) => {
    const tensor = Object.hasOwn(all, name) ? all[name] : null;
    return tensor === null || tensor === undefined ? [] : [{ name, tensor }];
  });
}

function oneTensor(result: RunResult): AnyTensor {
  if (result instanceof Tensor) return result;
  throw new Problem('internal', 'The model returned something other than one tensor');
}

interface Both {
  tokens: Tensor;
  attention: Tensor;
}

function both(result: RunResult): Both {
  if (result !== null && 'tokens' in result) return result as Both;
  throw new Problem('internal', 'The model returned no attention maps');
}
