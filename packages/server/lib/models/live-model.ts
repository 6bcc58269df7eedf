/** A loaded module with its runner. */
import {
  type AbortSignalLike,
  type AnyTensor,
  AotiModel,
  type Module,
  Tensor,
  TokenLearnerError,
  TokenPooling,
} from 'tokenlearner';
import type { BatchingOptions } from '../options';
import { invalid, Problem, quoted } from '../problem';
import { createRunner } from './create-runner';
import type { Loaded } from './loader';
import { ATTENTION, metadataOf, type ModelMetadata, OUTPUT, TOKENS } from './metadata';
import { earliest, type Runner, type RunnerLimits, type RunResult } from './runner';

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

/** A request uses one of these from its beginning to its end, whatever is loaded meanwhile. */
export class LiveModel {
  readonly metadata: ModelMetadata;
  readonly runner: Runner;
  readonly #module: Module;
  readonly #isOwn: boolean;
  /** The longest time of a request, in milliseconds. */
  readonly #timeoutMs: number | undefined;
  readonly #onLost: () => void;
  #isLost = false;
  #users = 0;
  #onUnused: (() => void) | undefined;

  /** @param onLost - called once, when {@link isLost} becomes true */
  constructor({ module, isOwn }: Loaded, options: BatchingOptions & RunnerLimits, onLost: () => void) {
    this.#module = module;
    this.#isOwn = isOwn;
    this.#timeoutMs = options.timeoutMs;
    this.#onLost = onLost;
    this.runner = createRunner(module, options);
    this.metadata = metadataOf(module);
  }

  /** True once a request has failed since its device was lost, and the model has no other one: a process does not get such a device back. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Counts a request in. */
  take(): this {
    this.#users += 1;
    return this;
  }

  /** Counts a request out. */
  release(): void {
    this.#users -= 1;
    if (this.#users === 0) this.#onUnused?.();
  }

  /** The outputs that a request gets: those that it names; otherwise `tokens` alone, or all that another module has. */
  chooseOutputs(names: readonly string[]): string[] {
    const known = this.metadata.outputs.map(({ name }) => name);
    const stranger = names.find((name) => !known.includes(name));
    if (stranger !== undefined)
      throw invalid(`Expected outputs among ${known.join(', ')} but received ${quoted(stranger)}`);
    if (new Set(names).size !== names.length) throw invalid('Expected each output once');
    if (names.length > 0) return known.filter((name) => names.includes(name));
    return this.#module instanceof TokenPooling ? known.filter((name) => name !== ATTENTION) : known;
  }

  /** Runs the module. Rejects with the errors of {@link Runner}. */
  async infer(inputs: readonly AnyTensor[], { timeoutMs, ...call }: Call): Promise<NamedTensor[]> {
    const limit = earliest(timeoutMs, this.#timeoutMs);
    try {
      return await this.#run(inputs, { ...call, ...(limit === undefined ? {} : { timeoutMs: limit }) });
    } catch (error) {
      if (error instanceof TokenLearnerError && error.code === 'ERR_DEVICE_LOST') this.#noteLoss();
      throw error;
    }
  }

  #noteLoss(): void {
    if (this.#isLost || this.runner.hasOtherDevice()) return;
    this.#isLost = true;
    this.#onLost();
  }

  async #run(inputs: readonly AnyTensor[], { outputs, ...call }: Call): Promise<NamedTensor[]> {
    const { runner } = this;
    const module = this.#module;
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

  /**
   * Closes the runner, and disposes a module of the server's own once nothing uses it. With `drain` this waits for the requests that
   * use it; otherwise those that have not run are rejected.
   */
  async retire(drain: boolean): Promise<void> {
    if (drain && this.#users > 0)
      await new Promise<void>((resolve) => {
        this.#onUnused = resolve;
      });
    await this.runner.close(drain);
    if (this.#isOwn) this.#module.dispose();
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
