import { binding } from '../binding';
import type { FloatDType } from '../dtype';
import { TokenLearnerError } from '../errors';
import type { FilePath } from '../formats/input';
import { registerClass } from '../modules/classes';
import { Module } from '../modules/module';
import { openedLayer, withLayersFrom } from '../modules/opening';
import { markBuiltIn } from '../modules/plan';
import { checkRequest, REQUEST_OPTIONS, type RequestOptions } from '../modules/request';
import { adopted, type Outputs, submitAll } from '../modules/run';
import {
  assertSubclass,
  assertUsable,
  attachLayer,
  demandState,
  type ForwardCall,
  layerOf,
} from '../modules/state';
import type { LoadStateDictOptions, LoadStateDictResult, StateDict } from '../modules/state-dict';
import { repr } from '../modules/tree';
import type { TensorArg } from '../native-interface';
import { checkShape, type Shape } from '../shape';
import { type AnyTensor, flattened, type Tensor } from '../tensor/tensor';
import { checkOptions, unexpected } from '../validate';
import { type CallSpec, flatten, LEAF, leafCount, parseCallSpec, type Tree, unflatten } from './call-spec';
import {
  type AotiConstant,
  type ProgramDescription,
  programConstants,
  programDefinition,
} from './description';
import { AotiLayer } from './layer';
import { type AotiLoadOptions, loadProgram } from './load';
import type { AotiInput, AotiOutput } from './types';
import { checkValues, describeInput } from './signature';

/** A value of a program's inputs: tensors, in arrays and plain objects as the program's call spec says. */
export type AotiInputValue =
  AnyTensor | readonly AotiInputValue[] | { readonly [key: string]: AotiInputValue };

/** A value of a program's outputs: tensors in arrays and plain objects; null for None. */
export type AotiOutputValue = AnyTensor | null | AotiOutputValue[] | { [key: string]: AotiOutputValue };

/** Options of {@link AotiModel.runSync}. */
export interface AotiSyncOptions {
  /** The inputs by keyword. @default none */
  kwargs?: Readonly<Record<string, AotiInputValue>> | undefined;
}

/** Options of {@link AotiModel.run}. */
export interface AotiRunOptions extends AotiSyncOptions, RequestOptions {}

const FACTORY = Symbol('factory');
/** Returns what an AotiModel is made of. It is also the guard of the getters. Throws ERR_INVALID_THIS or ERR_DISPOSED. */
let descriptionOf: (self: unknown) => ProgramDescription;

/**
 * A PyTorch program that AOTInductor compiled: `torch.export`, then `torch._inductor.aoti_compile_and_package`, make a `.pt2` file with
 * a shared library, which runs here without Python, on the CPU or a GPU. docs/backbone.md shows how to export.
 *
 * Inputs and outputs are tensors in arrays (tuples and lists) and plain objects (dicts), as the program has them. Each is checked at
 * each call: the compiled code checks nothing.
 *
 * A program of one input and one output can be a step of a Sequential; one of a single input can be in a Batcher, which joins requests
 * along the dynamic first dimension. Nothing in a program tells whether its samples depend on each other. So the first requests that would
 * share a run are run alone and joined, and compared; if the two do not agree, requests never share runs.
 *
 * @example
 * ```ts check: needs a package
 * import { AotiModel, Tensor } from 'tokenlearner';
 *
 * const model = await AotiModel.load('backbone.pt2', { trusted: true });
 * const features = await model.forward(Tensor.randn([4, 3, 224, 224]));
 * ```
 */
export class AotiModel extends Module {
  readonly #description: ProgramDescription;
  readonly #spec: CallSpec;
  /** The positions of the outputs that are None; empty before the first run has ended. */
  readonly #noneOutputs: () => readonly number[];

  static {
    descriptionOf = (self) => {
      assertUsable(self, AotiModel);
      return self.#description;
    };
    markBuiltIn(this);
    registerClass(
      'AotiModel',
      this,
      ([description]) => new AotiModel(FACTORY, description as ProgramDescription),
    );
  }

  /** Use {@link AotiModel.load}. @internal */
  constructor(factory: symbol, description: ProgramDescription) {
    super();
    if (factory !== FACTORY)
      throw new TokenLearnerError('ERR_INVALID_THIS', 'An AotiModel is made by AotiModel.load()');
    this.#description = description;
    const { inputs, outputs, hasOutputs, program } = description;
    this.#spec = parseCallSpec(program.inSpec, program.outSpec);
    const definition = programDefinition(
      description,
      `AotiModel(${inputs.map((each) => `${each.name}: ${describeInput(each)}`).join(', ')})`,
    );
    const handle = openedLayer(definition);
    if (handle === undefined)
      throw new TokenLearnerError('ERR_INVALID_ARG_VALUE', 'An AotiModel is made by AotiModel.load()');
    const hidden = program.constants.find(
      ({ type, isParameter }) => !isParameter && type !== 'constant' && type !== 'folded',
    );
    const output = hasOutputs && outputs.length === 1 ? outputs[0] : undefined;
    this.#noneOutputs = binding().noneOutputs(handle);
    const layer = new AotiLayer(handle, definition, inputs, output, hidden?.originalName);
    attachLayer(this, layer);
    this.#attachCalls(layer);
  }

  /**
   * Opens a package. Everything that can be checked before its code runs is checked: the archive, its platform, instruction sets and CUDA,
   * the functions of libtorch that it calls, and the signature of its inputs. The library is extracted to the cache of this user.
   *
   * @param path - of the `.pt2` file: a string or a file URL.
   * @throws TokenLearnerError (as a rejection) ERR_UNTRUSTED_CODE without `trusted: true`; ERR_AOTI_PACKAGE; ERR_LIBTORCH_INCOMPATIBLE if
   * libtorch lacks a function; ERR_DEVICE_MISMATCH; ERR_CUDA_UNAVAILABLE; ERR_FILE_IO; ERR_FILE_FORMAT; ERR_LIBTORCH_*; ERR_AOTI_RUN;
   * ERR_OUT_OF_MEMORY; ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE.
   */
  static async load(path: FilePath, options: AotiLoadOptions): Promise<AotiModel> {
    assertSubclass(this, AotiModel);
    const { handle, description } = await loadProgram(path, options);
    try {
      return withLayersFrom(
        () => handle,
        () => new this(FACTORY, description),
      );
    } catch (error) {
      binding().disposeLayer(handle);
      throw error;
    }
  }

  /** The name of the model in its archive. */
  get name(): string {
    return descriptionOf(this).name;
  }

  /** The inputs in the order of the call spec: names, dtypes, and sizes. */
  get inputs(): readonly AotiInput[] {
    return descriptionOf(this).inputs;
  }

  /** The outputs in the order of the call spec. Their dtypes and shapes are there if the package tells them. */
  get outputs(): readonly AotiOutput[] {
    return descriptionOf(this).outputs;
  }

  /** The most runs at a time. */
  get instances(): number {
    return descriptionOf(this).files.instances;
  }

  /** What the package says about itself: the platform, the instruction sets, and what the exporting program added. */
  get metadata(): Readonly<Record<string, string>> {
    return descriptionOf(this).metadata;
  }

  /** The parameters, buffers and other constants of the program, by their original names. */
  constants(): AotiConstant[] {
    return programConstants(descriptionOf(this).program);
  }

  /**
   * Runs the program on the device's executor thread and does not block the event loop. Any number of calls may be in progress;
   * `instances` of them run at a time. The outputs are on the device of the first input.
   *
   * TypeScript cannot know the outputs, and takes one float32 tensor: say what it is otherwise, as in `forward<[Tensor, Tensor<'int64'>]>(x)`.
   *
   * @param inputs - the positional inputs. For keywords, a signal or a timeout use {@link run}.
   * @throws TokenLearnerError (as a rejection) ERR_SHAPE_MISMATCH, ERR_DTYPE_MISMATCH, ERR_DISPOSED, ERR_DETACHED,
   * ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_AOTI_RUN, ERR_OUT_OF_MEMORY, ERR_QUEUE_FULL, ERR_DEVICE_LOST, ERR_CLOSED.
   */
  // The caller knows the program's outputs.

  override async forward<R extends AotiOutputValue = Tensor>(...inputs: AotiInputValue[]): Promise<R> {
    assertUsable(this, AotiModel);
    return this.run<R>(inputs);
  }

  /** Computes the same numbers as {@link forward} on the calling thread, and blocks it. */
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters
  override forwardSync<R extends AotiOutputValue = Tensor>(...inputs: AotiInputValue[]): R {
    assertUsable(this, AotiModel);
    return this.runSync<R>(inputs);
  }

  /**
   * The same as {@link forward}, with options.
   *
   * @param inputs - the positional inputs, as a list.
   * @throws TokenLearnerError (as a rejection) those of {@link forward}; ERR_TIMEOUT; the signal's reason.
   */

  async run<R extends AotiOutputValue = Tensor>(
    inputs: readonly AotiInputValue[],
    options?: AotiRunOptions,
  ): Promise<R> {
    assertUsable(this, AotiModel);
    const { kwargs, ...rest } = checkOptions('options', options, ['kwargs', ...REQUEST_OPTIONS]);
    const check = (): TensorArg[] => this.#arguments(inputs, kwargs);
    const outputs = await submitAll<FloatDType>(layerOf(this), check, undefined, checkRequest(rest));
    return this.#results(outputs) as R;
  }

  /** The same as {@link forwardSync}, with keywords. */
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters
  runSync<R extends AotiOutputValue = Tensor>(
    inputs: readonly AotiInputValue[],
    options?: AotiSyncOptions,
  ): R {
    assertUsable(this, AotiModel);
    const { kwargs } = checkOptions('options', options, ['kwargs']);
    const args = this.#arguments(inputs, kwargs).flatMap(flattened);
    return this.#results(adopted(binding().forwardSync(layerOf(this).handle.id, undefined, ...args))) as R;
  }

  /**
   * The same as {@link run}, with the inputs by the names of {@link AotiModel#inputs}, and the outputs by those of {@link AotiModel#outputs}, without
   * their trees: for servers. None is null.
   *
   * @throws TokenLearnerError (as a rejection) those of {@link run}.
   */
  async runNamed(
    inputs: Readonly<Record<string, AnyTensor>>,
    options?: RequestOptions,
  ): Promise<Record<string, AnyTensor | null>> {
    const { inputs: known } = descriptionOf(this);
    const tree: Tree = {
      kind: 'record',
      keys: known.map(({ name }) => name),
      children: known.map(() => LEAF),
    };
    const leaves = flatten(tree, 'inputs', inputs);
    const control = checkRequest(checkOptions('options', options, REQUEST_OPTIONS));
    const check = (): TensorArg[] => checkValues(known, leaves);
    const outputs = await submitAll<FloatDType>(layerOf(this), check, undefined, control);
    return this.#named(this.#results(outputs));
  }

  /**
   * Returns the tensors of a result by the names of {@link outputs}.
   *
   * @param result - what the program returned.
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE if it is no result of this program.
   */
  nameOutputs(result: AotiOutputValue): Record<string, AnyTensor | null> {
    assertUsable(this, AotiModel);
    return this.#named(result);
  }

  #named(result: unknown): Record<string, AnyTensor | null> {
    const { outputs } = this.#description;
    const leaves = flatten(this.#spec.output, 'result', result);
    const tree: Tree = {
      kind: 'record',
      keys: outputs.map(({ name }) => name),
      children: outputs.map(() => LEAF),
    };
    let next = 0;
    return unflatten(tree, () => leaves[next++]) as Record<string, AnyTensor | null>;
  }

  /** For a program of one input: the shape of its output. Throws ERR_NOT_IMPLEMENTED if the package does not tell it. */
  override outputShape(shape: Shape): number[] {
    assertUsable(this, AotiModel);
    const reason = this.#unfit();
    if (reason !== undefined) throw new TokenLearnerError('ERR_NOT_IMPLEMENTED', reason);
    return layerOf(this).outputShape(checkShape('shape', shape));
  }

  /**
   * Replaces parameters and buffers by their original names, as `load_state_dict` does: all, or none if it throws. Forwards that were
   * called before keep the old ones. The compiler writes small constants into the code; those are no parameters any more, and a
   * state dict that has them is an error unless `strict` is false.
   *
   * @throws TokenLearnerError ERR_STATE_DICT; ERR_DTYPE_MISMATCH; ERR_AOTI_PACKAGE if the package cannot take other weights.
   */
  override loadStateDict(
    dict: StateDict | ReadonlyMap<string, AnyTensor>,
    options?: LoadStateDictOptions,
  ): LoadStateDictResult {
    const { program } = descriptionOf(this);
    if (!program.canUpdate) {
      throw new TokenLearnerError(
        'ERR_AOTI_PACKAGE',
        'The package cannot take other weights: it lacks AOTInductorModelContainerUpdateConstantBufferPairs. Export it again with a newer PyTorch',
      );
    }
    return super.loadStateDict(dict, options);
  }

  override toString(): string {
    assertUsable(this, AotiModel);
    const { repr: own } = layerOf(this).definition;
    return repr(this, own.slice(own.indexOf('(') + 1, -1));
  }

  /** How a Sequential and a Batcher call the program. */
  #attachCalls(layer: AotiLayer): void {
    const demand = (reason: string | undefined): AotiLayer => {
      if (reason === undefined) return layer;
      throw new TokenLearnerError('ERR_INVALID_ARG_VALUE', reason);
    };
    Object.assign(demandState(this), {
      runnable: () => demand(this.#unfit()),
      batchRunnable: () => demand(this.#unfitInput()),
      forwardCall: (_: unknown, options: unknown, allowed: readonly string[]): ForwardCall => ({
        how: undefined,
        control: checkRequest(checkOptions('options', options, allowed)),
        results: (outputs) => this.#results(outputs),
      }),
    });
  }

  /** Why the program cannot take one tensor; undefined if it can. */
  #unfitInput(): string | undefined {
    const { args, kwargs } = this.#spec;
    if (args.length === 1 && args[0]?.kind === 'leaf' && kwargs.keys.length === 0) return undefined;
    const names = this.#description.inputs.map(({ name }) => name).join(', ');
    return `Expected a program of one input, a tensor, but the AotiModel takes ${names}: call its forward or run`;
  }

  /** Why the program is no step of a Sequential; undefined if it is. */
  #unfit(): string | undefined {
    const { output } = this.#spec;
    if (output.kind === 'leaf') return this.#unfitInput();
    const names = this.#description.outputs.map(({ name }) => name).join(', ');
    return (
      this.#unfitInput() ??
      `Expected a program of one output, a tensor, but the AotiModel returns ${output.kind === 'record' ? 'an object' : 'an array'} (${names}): call its forward`
    );
  }

  /** Checks the values of a call. */
  #arguments(inputs: unknown, kwargs: unknown): TensorArg[] {
    const { args, kwargs: keywords } = this.#spec;
    if (!Array.isArray(inputs)) throw unexpected('ERR_INVALID_ARG_TYPE', 'inputs', 'an array', inputs);
    if (inputs.length !== args.length) {
      const named = keywords.keys.length === 0 ? '' : `, and ${keywords.keys.join(', ')} by keyword in run()`;
      throw new TokenLearnerError(
        'ERR_INVALID_ARG_VALUE',
        `Expected ${args.length} inputs${named}, but received ${inputs.length}`,
      );
    }
    const leaves: unknown[] = [];
    args.forEach((tree, i) => flatten(tree, `inputs[${i}]`, inputs[i], leaves));
    flatten(keywords, 'options.kwargs', kwargs ?? {}, leaves);
    return checkValues(this.#description.inputs, leaves);
  }

  /** The outputs in their tree. The model may be disposed, or have other weights than those of the run. */
  #results(outputs: Outputs<FloatDType>): unknown {
    const { output } = this.#spec;
    const none = leafCount(output) > outputs.length ? this.#noneOutputs() : [];
    let leaf = 0;
    let next = 0;
    return unflatten(output, () => (none.includes(leaf++) ? null : outputs[next++]));
  }
}
