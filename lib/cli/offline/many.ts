/** `tokenlearner run` over many files. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, TokenLearnerError } from '../../errors';
import { listWeights } from '../../files/list';
import { ioError } from '../../formats/format-error';
import { TokenLearnerV11 } from '../../modules/token-learner-v11';
import type { TokenPooling } from '../../modules/token-pooling';
import { Batcher } from '../../serving/batcher';
import type { AnyTensor } from '../../tensor/tensor';
import { inWordsOfLearner } from '../learner-options';
import { type Arrays, isWhole, loadArrays, makeFolder, saveArrays, storedNames } from './arrays';
import { ByteBudget } from './byte-budget';
import { UsageError } from '../usage-error';
import { formatOf, type Job } from './outputs';
import { type Counts, RunProgress } from './progress';

export interface ManyOptions {
  layout: 'channels-first' | 'tokens-first';
  inputLayout: 'channels-first' | 'channels-last';
  /** For TokenLearnerV11: inputs are (..., P, C). */
  pixels?: 'flat';
  resume: boolean;
  /** The most images of a batch. */
  maxBatchSize: number;
  /** The most bytes of inputs in memory. One larger file is alone there. */
  maxReadBytes: number;
  quiet: boolean;
  /** Aborted: no further file begins. */
  stop: AbortSignal;
}

export interface Failure {
  input: string;
  message: string;
}

export interface Outcome extends Counts {
  failures: Failure[];
}

/** Files at a time: enough to fill a batch with files of one image while the next ones are read. */
function workersFor(maxBatchSize: number): number {
  return Math.min(2 * maxBatchSize, 256);
}

class ManyRun {
  readonly #model: TokenPooling;
  readonly #options: ManyOptions;
  readonly #batcher: Batcher;
  readonly #budget: ByteBudget;

  constructor(model: TokenPooling, options: ManyOptions) {
    this.#model = model;
    this.#options = options;
    this.#batcher = new Batcher(model, { maxBatchSize: options.maxBatchSize });
    this.#budget = new ByteBudget(options.maxReadBytes);
  }

  /** Runs all jobs, or those that begin before the stop. Throws a UsageError for options that the model does not take, whatever the file. */
  async run(jobs: readonly Job[]): Promise<Outcome> {
    const outcome: Outcome = { total: jobs.length, written: 0, skipped: 0, failed: 0, failures: [] };
    const progress = this.#options.quiet ? undefined : new RunProgress(process.stderr);
    const queue = jobs.values();
    let misuse: UsageError | undefined;
    const work = async (): Promise<void> => {
      for (const job of queue) {
        if (this.#options.stop.aborted || misuse !== undefined) return;
        try {
          const end = await this.#one(job);
          if (end !== 'stopped') outcome[end] += 1;
        } catch (error) {
          if (error instanceof UsageError) {
            misuse = error;
            return;
          }
          outcome.failed += 1;
          const code = error instanceof TokenLearnerError ? ` [${error.code}]` : '';
          outcome.failures.push({ input: job.input, message: messageOf(error) + code });
        }
        progress?.show(outcome);
      }
    };
    await Promise.all(Array.from({ length: workersFor(this.#options.maxBatchSize) }, work));
    await this.#batcher.close();
    progress?.end();
    if (misuse !== undefined) throw misuse;
    return outcome;
  }

  async #one(job: Job): Promise<'written' | 'skipped' | 'stopped'> {
    if (this.#options.resume && (await this.#isDone(job))) return 'skipped';
    const bytes = await bytesOf(job.input);
    await this.#budget.take(bytes);
    try {
      if (this.#options.stop.aborted) return 'stopped';
      await this.#compute(job);
      return 'written';
    } finally {
      this.#budget.give(bytes);
    }
  }

  async #compute({ input, tokens, attention }: Job): Promise<void> {
    const arrays = await loadArrays(input);
    const outputs = attention === undefined ? [tokens] : [tokens, attention];
    try {
      const names = arrays.map(([name]) => name);
      for (const output of outputs) storedNames(output, formatOf(output), names);
      const results = await Promise.all(
        arrays.map(
          async ([name, tensor]) => [name, await this.#forward(tensor, attention !== undefined)] as const,
        ),
      );
      for (const [i, output] of outputs.entries()) {
        const part: Arrays = results.map(([name, tensors]) => [name, tensors[i] ?? tensors[0]]);
        await makeFolder(path.dirname(output));
        await saveArrays(output, formatOf(output), part);
      }
      for (const [, tensors] of results) for (const tensor of tensors) tensor.dispose();
    } finally {
      for (const [, tensor] of arrays) tensor.dispose();
    }
  }

  async #forward(array: Arrays[number][1], withAttention: boolean): Promise<[AnyTensor, ...AnyTensor[]]> {
    const { layout, inputLayout, pixels } = this.#options;
    const how = { layout, inputLayout, ...(pixels && { pixels }) };
    const input = array.to(this.#model.dtype);
    try {
      if (!withAttention) return [await this.#batcher.forward(input, how)];
      const { tokens, attention } = await this.#batcher.forward(input, { ...how, returnAttention: true });
      return [tokens, attention];
    } catch (error) {
      throw inWordsOfLearner(error, this.#model.constructor.name);
    } finally {
      if (input !== array) input.dispose();
    }
  }

  /** True if all outputs of a job are whole, and fit its input. Reads the headers of the files alone. */
  async #isDone({ input, tokens, attention }: Job): Promise<boolean> {
    const { tensors } = await listWeights(input);
    const names = tensors.map(({ name }) => name);
    const shapes = tensors.flatMap(({ shape }) => this.#outputShapes(shape) ?? []);
    if (shapes.length < tensors.length) return false;
    const fits = (file: string, output: 'tokens' | 'attention'): Promise<boolean> => {
      const stored = storedNames(file, formatOf(file), names);
      return isWhole(
        file,
        shapes.map((each, i) => ({ name: stored[i] ?? '', shape: each[output] })),
      );
    };
    if (!(await fits(tokens, 'tokens'))) return false;
    return attention === undefined || fits(attention, 'attention');
  }

  /** The shapes of the results for an input's shape; undefined if the model does not take it. */
  #outputShapes(input: number[]): { tokens: number[]; attention: number[] } | undefined {
    const { dim, numOutputTokens } = this.#model;
    const isLast = this.#options.inputLayout === 'channels-last';
    // TokenLearnerV11 reads (P, C) and (B, P, C) as flat pixels.
    const isFlat =
      this.#options.pixels === 'flat' ||
      (isLast && this.#model instanceof TokenLearnerV11 && input.length < 4);
    const rank = isFlat ? 2 : 3;
    if (input.length < rank || input.at(isLast ? -1 : -3) !== dim) return undefined;
    const leading = input.slice(0, -rank);
    const pixels = isLast ? input.slice(-rank, -1) : input.slice(-2);
    const pooled = this.#options.layout === 'tokens-first' ? [numOutputTokens, dim] : [dim, numOutputTokens];
    return { tokens: [...leading, ...pooled], attention: [...leading, numOutputTokens, ...pixels] };
  }
}

/** The bytes of an input's arrays: an .npz can be compressed. */
async function bytesOf(file: string): Promise<number> {
  const { size } = await stat(file).catch((cause: unknown) => {
    throw ioError('read', file, cause);
  });
  if (formatOf(file) !== 'npz') return size;
  const { tensors } = await listWeights(file);
  return tensors.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
}

/** Runs a model on files, several in a batch. A file that fails fails alone. */
export function runMany(model: TokenPooling, jobs: readonly Job[], options: ManyOptions): Promise<Outcome> {
  return new ManyRun(model, options).run(jobs);
}
