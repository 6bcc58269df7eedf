/** The models of a server by name. */
import { batchingOptions, type CheckedOptions } from '../options';
import { invalid, Problem } from '../problem';
import { ServedModel, VERSION } from './served-model';

export class ModelRegistry {
  readonly #models: ReadonlyMap<string, ServedModel>;

  constructor(options: CheckedOptions) {
    const { maxQueueSize, maxQueueBytes } = options;
    const batching = { ...batchingOptions(options), maxQueueSize, maxQueueBytes };
    this.#models = new Map(
      Object.entries(options.models).map(([name, source]) => [name, new ServedModel(name, source, batching)]),
    );
  }

  all(): ServedModel[] {
    return [...this.#models.values()];
  }

  get ready(): boolean {
    return this.all().every((model) => model.ready);
  }

  /** Finds a model. Throws a Problem for an unknown name or version; '' is any version. */
  get(name: string, version = ''): ServedModel {
    const model = this.#models.get(name);
    if (model === undefined) throw new Problem('not-found', `There is no model ${JSON.stringify(name)}`);
    if (version !== '' && version !== VERSION)
      throw new Problem(
        'not-found',
        `The model ${name} has only the version ${VERSION}, not ${JSON.stringify(version)}`,
      );
    return model;
  }

  /** Loads one model again, or all. */
  async reload(name?: string): Promise<void> {
    const chosen = name === undefined ? this.all() : [this.get(name)];
    await Promise.all(chosen.map((model) => model.reload()));
  }
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
