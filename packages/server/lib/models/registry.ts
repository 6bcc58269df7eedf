/** The models of a server by name. */
import type { Logger } from 'pino';
import { TokenLearnerError } from 'tokenlearner';
import { unexpected } from '../check';
import { batchingOptions, type CheckedOptions, namesOfBatchOptions } from '../options';
import { invalid, Problem, quoted } from '../problem';
import { ServedModel, VERSION } from './served-model';

export class ModelRegistry {
  readonly #models: ReadonlyMap<string, ServedModel>;
  /** The given options that have an effect on batches alone. */
  readonly #batchOptions: readonly string[];
  readonly #log: Logger;

  /** @param onChange - called when {@link ready} may have changed */
  constructor(options: CheckedOptions, log: Logger, onChange: () => void) {
    this.#log = log;
    this.#batchOptions = namesOfBatchOptions(options);
    const { maxQueueSize, maxQueueBytes } = options;
    const batching = { ...batchingOptions(options), maxQueueSize, maxQueueBytes };
    this.#models = new Map(
      Object.entries(options.models).map(([name, source]) => [
        name,
        new ServedModel(name, source, batching, onChange),
      ]),
    );
  }

  all(): ServedModel[] {
    return [...this.#models.values()];
  }

  get ready(): boolean {
    return this.all().every((model) => model.ready);
  }

  /** True if a model has lost its device: only a new process gets it back. */
  get isLost(): boolean {
    return this.all().some((model) => model.isLost);
  }

  /** Finds a model. Throws a Problem for an unknown name or version; '' is any version. */
  get(name: string, version = ''): ServedModel {
    const model = this.#models.get(name);
    if (model === undefined) throw new Problem('not-found', `There is no model ${quoted(name)}`);
    if (version !== '' && version !== VERSION)
      throw new Problem(
        'not-found',
        `The model ${name} has only the version ${VERSION}, not ${quoted(version)}`,
      );
    return model;
  }

  /**
   * Loads all models. Throws ERR_INVALID_ARG_VALUE for options of batches where no model has batches, and the errors of {@link load}.
   */
  async start(): Promise<void> {
    await Promise.all(this.all().map((model) => model.start()));
    const [first] = this.#batchOptions;
    if (first !== undefined && this.all().every(({ isBatched }) => !isBatched))
      throw new TokenLearnerError(
        'ERR_INVALID_ARG_VALUE',
        `Expected no \`${first}\` with ${this.all()
          .map(({ name }) => name)
          .join(
            ', ',
          )}: a module with a forward of its own computes in JavaScript, and each of its requests runs alone`,
      );
    this.#tell(this.all());
  }

  /**
   * Loads one model again, or all that have a path, each independently of the others. Once all are done, throws the error of the one
   * that failed, or an AggregateError of several. Throws ERR_INVALID_ARG_VALUE for an unknown name.
   */
  async reload(name?: string): Promise<void> {
    const chosen = name === undefined ? this.all().filter(({ hasPath }) => hasPath) : [this.#known(name)];
    const failures: { model: string; error: unknown }[] = [];
    const reload = async (model: ServedModel): Promise<void> => {
      try {
        await model.reload();
        this.#tell([model]);
      } catch (error) {
        failures.push({ model: model.name, error });
      }
    };
    await Promise.all(chosen.map(reload));
    if (failures.length > 1)
      throw new AggregateError(
        failures.map(({ error }) => error),
        failures.map(({ model, error }) => `${model}: ${messageOf(error)}`).join('; '),
      );
    for (const { error } of failures) throw error;
  }

  #known(name: string): ServedModel {
    const model = this.#models.get(name);
    if (model !== undefined) return model;
    const names = `one of the models ${[...this.#models.keys()].join(', ')}`;
    throw unexpected('ERR_INVALID_ARG_VALUE', 'name', names, name);
  }

  /** Says which models do not batch. */
  #tell(models: readonly ServedModel[]): void {
    for (const { name, isBatched } of models) {
      if (isBatched) continue;
      const why = 'Each request of this model runs alone, since its class has a forward of its own';
      if (this.#batchOptions.length === 0) this.#log.info({ model: name }, why);
      else
        this.#log.warn(
          { model: name, options: this.#batchOptions },
          `${why}: the options for batches do not apply to it`,
        );
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Refuses what a request to load a model may not choose: the path comes from the server's configuration alone. */
export function refuseParameters(body: unknown): void {
  const parameters = (body as { parameters?: unknown } | null)?.parameters;
  if (
    parameters === undefined ||
    (typeof parameters === 'object' && Object.keys(parameters ?? {}).length === 0)
  )
    return;
  throw invalid(
    'Expected no `parameters`: a model is loaded from the path in the configuration of the server',
  );
}
