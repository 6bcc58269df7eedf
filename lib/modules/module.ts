import '../dispose';
import type { Device, DeviceOption } from '../device';
import { TokenLearnerError } from '../errors';
import type { Shape } from '../shape';
import type { Shared } from '../shared';
import { inspectSymbol } from '../tensor/format';
import type { AnyTensor } from '../tensor/tensor';
import { uncloneable } from '../uncloneable';
import { brand, checkInteger, checkString, unexpected } from '../validate';
import type { FloatDType } from '../dtype';
import { moduleContents } from './contents';
import { ANYWHERE, moveLayers, type Placement } from './native';
import { readParameters, readStateDict, readStateDictAsync, writeStateDict } from './parameters';
import { assertThis, assertUsable, className, createState, demandState, isModule } from './state';
import { shareModule } from './share';
import type { LoadStateDictOptions, LoadStateDictResult, StateDict } from './state-dict';
import { checkTarget } from './target';
import {
  allLayers,
  childrenOf,
  countNamed,
  distinctLayers,
  distinctModules,
  modulesOf,
  parameterSpecs,
  repr,
} from './tree';

/**
 * The base class of all modules, as torch.nn.Module. Extend it for a module of your own. Its children are its own enumerable
 * properties that are modules, and those that {@link registerModule} adds. State dicts, `to`, `dispose` and the repr include them.
 *
 * @example
 * ```ts
 * import { Linear, Module, Tensor, TokenLearner } from 'tokenlearner';
 *
 * class Net extends Module {
 *   readonly backbone = new TokenLearner({ dim: 64 });
 *   readonly head = new Linear(64 * 8, 10);
 *
 *   override async forward(x: Tensor): Promise<Tensor> {
 *     const tokens = await this.backbone.forward(x);
 *     return this.head.forward(tokens.reshape([-1, 64 * 8]));
 *   }
 * }
 * const scores = await new Net().forward(Tensor.randn([1, 64, 16, 16]));
 * console.log(scores.shape); // [ 1, 10 ]
 * ```
 */
export abstract class Module {
  static {
    brand(this.prototype, 'a module');
  }

  /** Makes structured cloning throw with this text. Without it a clone would be `{}`. @internal */
  readonly cloning = uncloneable('a module; send module.share(), and call openShared() there');

  /** For the deep comparisons of test runners. @internal */
  declare readonly comparison: object;

  constructor() {
    createState(this);
    // After `cloning`, so that a structured clone fails before it reads the parameters.
    this.comparison = moduleContents(this);
  }

  /**
   * The device of the parameters; that of the first, if they differ. A module without parameters runs on its input's device; for
   * it this is 'cpu'.
   */
  get device(): Device {
    assertUsable(this, Module);
    return placementOf(this).device;
  }

  /**
   * The dtype of the parameters; that of the first, if they differ. Inputs must have it too. A module without parameters takes
   * inputs of every floating dtype; for it this is 'float32'.
   */
  get dtype(): FloatDType {
    assertUsable(this, Module);
    return placementOf(this).dtype;
  }

  /** The total number of elements of all parameters. Shared ones count once. */
  get numParameters(): number {
    assertUsable(this, Module);
    return parameterSpecs(distinctLayers(this)).reduce(
      (sum, { shape }) => sum + shape.reduce((n, size) => n * size, 1),
      0,
    );
  }

  /** True after {@link dispose} was called. */
  get disposed(): boolean {
    assertThis(this, Module);
    return demandState(this).disposed;
  }

  /**
   * Computes the module's output. The package's modules run on the device's executor thread and do not block the event loop; their
   * output is on the input's device. A module of your own has any inputs and results. In a Sequential it takes one tensor, and
   * {@link RequestOptions} if the caller gave any, and returns one tensor.
   *
   * @throws TokenLearnerError (as a rejection) ERR_NOT_IMPLEMENTED if the class does not override it.
   */
  // Only subclasses know the types of their inputs and results.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  forward(...inputs: any[]): Promise<any>;
  forward(): Promise<never> {
    return new Promise(() => notImplemented(this, 'forward'));
  }

  /**
   * Computes the same numbers as {@link forward} on the calling thread, and blocks it.
   *
   * @throws TokenLearnerError ERR_NOT_IMPLEMENTED if the class does not override it.
   */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  forwardSync(...inputs: any[]): any;
  forwardSync(): never {
    return notImplemented(this, 'forwardSync');
  }

  /**
   * Returns the shape of the output for an input of this shape.
   *
   * @throws TokenLearnerError ERR_SHAPE_MISMATCH if the module cannot take such an input; ERR_NOT_IMPLEMENTED if the class does not
   * override it.
   */
  outputShape(shape: Shape): number[];
  outputShape(): never {
    return notImplemented(this, 'outputShape');
  }

  /** Returns PyTorch's repr of the module. */
  toString(): string {
    assertUsable(this, Module);
    return repr(this);
  }

  /**
   * Returns what JSON.stringify writes: the repr. The weights are not in it: save them with `saveSafetensors(path, module.stateDict())`.
   *
   * @param key - JSON.stringify passes the name of the property. Test runners, which print values, pass none; for them it is the module.
   */
  toJSON(key?: string): unknown {
    assertThis(this, Module);
    return key === undefined ? this : this.toString();
  }

  /**
   * Adds a child that is not an own enumerable property, such as one in a #private field, as `register_module` does:
   * `this.#head = this.registerModule('head', new Linear(8, 2))`. The name of an earlier registered child replaces that child.
   *
   * @param name - the prefix of its parameters' names: not empty, without dots, and not the name of a property.
   * @returns the child.
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE.
   */
  registerModule<M extends Module>(name: string, module: M): M {
    assertUsable(this, Module);
    const state = demandState(this);
    if (!/^[^.]+$/.test(checkString('name', name)))
      throw unexpected('ERR_INVALID_ARG_VALUE', 'name', 'a name without dots', name);
    const known = state.registered.find((each) => each.name === name);
    if (known === undefined && name in this)
      throw unexpected('ERR_INVALID_ARG_VALUE', 'name', 'a name that is not a property', name);
    if (!isModule(module)) throw unexpected('ERR_INVALID_ARG_TYPE', 'module', 'a module', module);
    if (known === undefined)
      state.registered = [...state.registered, { name, module, after: countNamed(this) }];
    else known.module = module;
    return module;
  }

  /** Returns the children in the order of their registration, each once. */
  children(): Module[] {
    assertUsable(this, Module);
    return [...new Set(modulesOf(this))];
  }

  /** Returns the children with their names, in the order of their registration. A child with two names is there twice. */
  namedChildren(): [name: string, module: Module][] {
    assertUsable(this, Module);
    return childrenOf(this);
  }

  /** Returns this module and all modules under it, each once. */
  modules(): Module[] {
    assertUsable(this, Module);
    return distinctModules(this).map(([, module]) => module);
  }

  /** Returns this module, with the name '', and all modules under it, each once, with names such as 'backbone.head'. */
  namedModules(): [name: string, module: Module][] {
    assertUsable(this, Module);
    return distinctModules(this);
  }

  /** Copies all parameters to the CPU, each once, in the order of {@link stateDict}. */
  parameters(): AnyTensor[] {
    assertUsable(this, Module);
    return readParameters(distinctLayers(this)).map(([, tensor]) => tensor);
  }

  /** Copies all parameters to the CPU, each once, with their names. A shared one has the first of its names. */
  namedParameters(): [name: string, tensor: AnyTensor][] {
    assertUsable(this, Module);
    return readParameters(distinctLayers(this));
  }

  /**
   * Copies all parameters to the CPU, by PyTorch's names. A shared one is there under each of its names. Use
   * {@link loadStateDict} to change a module.
   */
  stateDict(): StateDict {
    assertUsable(this, Module);
    return readStateDict(allLayers(this));
  }

  /**
   * The same as {@link stateDict}, on the threads of the executors: for models so large that the copy would hold the event loop. It gives
   * the parameters as they are at the call, and waits in the queue of the device's forwards.
   *
   * @throws TokenLearnerError (as a rejection) ERR_DISPOSED, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_MEMORY, ERR_QUEUE_FULL, ERR_CLOSED.
   */
  async stateDictAsync(): Promise<StateDict> {
    assertUsable(this, Module);
    return readStateDictAsync(allLayers(this));
  }

  /**
   * Replaces parameters with those of a state dict, and converts them to the module's dtype and device. If it throws, no
   * parameter has changed. Forwards that were called before keep the old parameters; of a Sequential around a module with a forward of its
   * own, the steps that have not begun take the new ones.
   *
   * @param dict - tensors by name: a plain object or a Map. Of the entries of a shared parameter, the last one counts.
   * @param options - `strict` (default true): missing and unexpected keys are errors.
   * @returns the missing and the unexpected keys.
   * @throws TokenLearnerError ERR_STATE_DICT with PyTorch's message; ERR_DTYPE_MISMATCH for tensors that are not floats.
   */
  loadStateDict(
    dict: StateDict | ReadonlyMap<string, AnyTensor>,
    options?: LoadStateDictOptions,
  ): LoadStateDictResult {
    assertUsable(this, Module);
    return writeStateDict(className(this), allLayers(this), dict, options);
  }

  /**
   * Moves the module to another device, dtype or both, in place. If it throws, nothing has moved.
   *
   * @param target - a device ('auto', 'cpu', 'cuda', 'cuda:N'), which a floating dtype may follow, or a floating dtype.
   * @returns the module itself.
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_CUDA_UNAVAILABLE, ERR_OUT_OF_MEMORY.
   */
  to(target: DeviceOption | FloatDType): this;
  to(target: DeviceOption, dtype: FloatDType | undefined): this;
  to(target: DeviceOption | FloatDType, dtype?: FloatDType): this {
    assertUsable(this, Module);
    moveLayers(
      distinctLayers(this).map(({ layer }) => layer),
      checkTarget(target, dtype),
    );
    return this;
  }

  /**
   * Offers the module, as it is now, to the other threads of this process: `worker.postMessage(model.share())`, and there
   * `openShared(token)`. The parameters are not copied: all threads run the same ones. A later change of this module
   * (`loadStateDict`, `to`) does not change what the others have.
   *
   * @returns a token. It ends when it is disposed, and with this thread.
   * @throws TokenLearnerError ERR_DISPOSED, ERR_INVALID_ARG_VALUE.
   */
  share(): Shared<this> {
    assertUsable(this, Module);
    return shareModule(this);
  }

  /** The same as `to('cpu')`. */
  cpu(): this {
    return this.to('cpu');
  }

  /**
   * The same as `to('cuda')`, or `to('cuda:N')` for an index.
   *
   * @throws TokenLearnerError ERR_CUDA_UNAVAILABLE, ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE.
   */
  cuda(index?: number): this {
    return this.to(index === undefined ? 'cuda' : `cuda:${checkInteger('index', index, { min: 0 })}`);
  }

  /** The same as `to('float32')`. */
  float(): this {
    return this.to('float32');
  }

  /** The same as `to('float64')`. */
  double(): this {
    return this.to('float64');
  }

  /** The same as `to('float16')`. */
  half(): this {
    return this.to('float16');
  }

  /** The same as `to('bfloat16')`. */
  bfloat16(): this {
    return this.to('bfloat16');
  }

  /** Returns the module itself. Modules are always in evaluation mode: this package does not train. */
  eval(): this {
    assertUsable(this, Module);
    return this;
  }

  /** Frees the parameters, and those of all children, once no run uses them. A second call does nothing. */
  dispose(): void {
    assertThis(this, Module);
    const state = demandState(this);
    if (state.disposed) return;
    state.disposed = true;
    state.release?.();
    disposeAll(modulesOf(this));
  }

  /** Calls {@link dispose} at the end of a `using` block. */
  [Symbol.dispose](): void {
    assertThis(this, Module);
    this.dispose();
  }

  /** Returns the text that console.log prints. */
  [inspectSymbol](): string {
    assertThis(this, Module);
    return demandState(this).disposed ? `${className(this)}(disposed)` : this.toString();
  }
}

/** Throws ERR_NOT_IMPLEMENTED for a method that a class has to override; ERR_INVALID_THIS or ERR_DISPOSED if that is the reason. */
function notImplemented(self: unknown, method: string): never {
  assertUsable(self, Module);
  throw new TokenLearnerError(
    'ERR_NOT_IMPLEMENTED',
    `${className(self)} has no ${method} of its own: override it to use it`,
  );
}

function placementOf(module: Module): Placement {
  const first = distinctLayers(module).find(({ layer }) => layer.hasParameters);
  return first?.layer.placement() ?? ANYWHERE;
}

/** Disposes all modules, also if one throws, and then throws the first error. */
function disposeAll(modules: readonly Module[]): void {
  const errors = new Set<unknown>();
  for (const module of modules) {
    try {
      module.dispose();
    } catch (error) {
      errors.add(error);
    }
  }
  for (const first of errors) throw first;
}
