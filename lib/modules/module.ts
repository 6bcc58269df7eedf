import '../dispose';
import { requireLibtorch } from '../binding';
import { type Device, type DeviceOption, isDeviceOption, resolveDevice } from '../device';
import { type FloatDType, dtypeFromCode, isDType, isFloatDType } from '../dtype';
import { TokenLearnerError } from '../errors';
import type {
  CallOptions,
  DeviceCode,
  DTypeCode,
  LayerHandle,
  NativeTensor,
  TensorArg,
} from '../native-interface';
import type { Shape } from '../shape';
import { adoptTensor, type AnyTensor, type Tensor, tensorArgument } from '../tensor/tensor';
import { inspectSymbol } from '../tensor/format';
import { uncloneable } from '../uncloneable';
import { describe, type NoOptions, unexpected } from '../validate';
import { request, type RequestOptions } from './request';
import {
  checkStateDict,
  type LoadStateDictOptions,
  type LoadStateDictResult,
  type StateDict,
} from './state-dict';

export { FLOAT_DTYPES, type FloatDType } from '../dtype';

function adopted<D extends FloatDType>(natives: readonly NativeTensor[]): [Tensor<D>, ...Tensor<D>[]] {
  return natives.map((native) => adoptTensor(native)) as unknown as [Tensor<D>, ...Tensor<D>[]];
}

/** A named parameter of a module. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: Shape;
}

/** A class, also an abstract one, for the check of `this`. */
interface ModuleClass<M extends Module> {
  readonly name: string;
  readonly prototype: M;
}

let hasBrand: (value: object) => value is Module;

/**
 * The guard in the first line of public methods. It checks that the class's constructor created `self`, and that `self` is not
 * disposed. Throws ERR_INVALID_THIS or ERR_DISPOSED. @internal
 */
export function assertUsable<M extends Module>(self: unknown, Class: ModuleClass<M>): asserts self is M {
  assertThis(self, Class);
  if (self.disposed) throw new TokenLearnerError('ERR_DISPOSED', `The ${self.constructor.name} was disposed`);
}

/** The same guard for methods that also work on disposed modules. Throws ERR_INVALID_THIS. @internal */
export function assertThis<M extends Module>(
  self: unknown,
  { name, prototype }: ModuleClass<M>,
): asserts self is M {
  const isObject = typeof self === 'object' && self !== null;
  if (isObject && hasBrand(self) && Object.prototype.isPrototypeOf.call(prototype, self)) return;
  throw new TokenLearnerError(
    'ERR_INVALID_THIS',
    `Expected \`this\` to be a ${name} but received ${describe(self)}`,
  );
}

/** The base class of all layers and of Sequential: anything with a forward. */
export abstract class Module {
  /** Makes structured cloning throw with this text. Without it a clone would be `{}`. @internal */
  readonly cloning = uncloneable('a module; send the tensors of module.stateDict() and load them there');
  #disposed = false;
  #hasParameters: boolean | undefined;

  static {
    hasBrand = (value): value is Module => #disposed in value;
  }

  /** The device of the parameters. A module without parameters runs on its input's device; for it this is 'cpu'. */
  abstract get device(): Device;

  /**
   * The dtype of the parameters, which inputs must have too. A module without parameters takes inputs of every floating dtype;
   * for it this is 'float32'.
   */
  abstract get dtype(): FloatDType;

  /** Returns the leaves in order, each with the prefix of its parameters' names. @internal */
  abstract leaves(prefix?: string): { prefix: string; leaf: Leaf }[];

  /** The native layer that runs this module. @internal */
  abstract handle(): LayerHandle;

  /** Returns PyTorch's repr of the module. */
  abstract toString(): string;

  /**
   * Returns the shape of the output for an input of this shape.
   *
   * @throws TokenLearnerError ERR_SHAPE_MISMATCH if the module cannot take such an input.
   */
  abstract outputShape(shape: Shape): number[];

  /** Runs on the device's executor thread and does not block the event loop. The output is on the input's device. */
  abstract forward<D extends FloatDType>(input: Tensor<D>, options?: RequestOptions): Promise<Tensor<D>>;

  /** Computes the same numbers as {@link forward} on the calling thread, and blocks it. */
  abstract forwardSync<D extends FloatDType>(input: Tensor<D>, options?: NoOptions): Tensor<D>;

  /** The total number of elements of all parameters. */
  get numParameters(): number {
    assertUsable(this, Module);
    return this.specs().reduce((sum, { shape }) => sum + shape.reduce((n, size) => n * size, 1), 0);
  }

  /** True after {@link dispose} was called. */
  get disposed(): boolean {
    assertThis(this, Module);
    return this.#disposed;
  }

  /** Copies all parameters to the CPU, by PyTorch's names. Use {@link loadStateDict} to change a module. */
  stateDict(): StateDict {
    assertUsable(this, Module);
    const dict = Object.create(null) as StateDict;
    for (const { prefix, leaf } of this.leaves()) {
      leaf.readParameters().forEach((tensor, i) => {
        dict[prefix + (leaf.parameterSpecs[i]?.name ?? '')] = tensor;
      });
    }
    return dict;
  }

  /** Copies all parameters to the CPU, in the order of {@link stateDict}. */
  parameters(): AnyTensor[] {
    assertUsable(this, Module);
    return Object.values(this.stateDict());
  }

  /**
   * Replaces parameters with those of a state dict, and converts them to the module's dtype and device. If it throws, no
   * parameter has changed. Forwards that were called before keep the old parameters.
   *
   * @param dict - tensors by name: an object or a Map.
   * @param options - `strict` (default true): missing and unexpected keys are errors.
   * @returns the missing and the unexpected keys.
   * @throws TokenLearnerError ERR_STATE_DICT with PyTorch's message; ERR_DTYPE_MISMATCH for tensors that are not floats.
   */
  loadStateDict(
    dict: StateDict | ReadonlyMap<string, AnyTensor>,
    options?: LoadStateDictOptions,
  ): LoadStateDictResult {
    assertUsable(this, Module);
    const { tensors, ...result } = checkStateDict(this.constructor.name, this.specs(), dict, options);
    writeParameters(this.leaves(), tensors);
    return result;
  }

  /**
   * Moves the module to another device or dtype, in place. If it throws, nothing has moved.
   *
   * @param target - a device ('auto', 'cpu', 'cuda', 'cuda:N') or a floating dtype.
   * @returns the module itself.
   * @throws TokenLearnerError ERR_INVALID_ARG_VALUE, ERR_CUDA_UNAVAILABLE, ERR_OUT_OF_MEMORY.
   */
  to(target: DeviceOption | FloatDType): this {
    assertUsable(this, Module);
    const dtype = isDType(target) ? target : undefined;
    if (dtype === undefined && !isDeviceOption(target)) {
      throw unexpected(
        typeof target === 'string' ? 'ERR_INVALID_ARG_VALUE' : 'ERR_INVALID_ARG_TYPE',
        'target',
        'a device or a floating dtype',
        target,
      );
    }
    if (dtype !== undefined && !isFloatDType(dtype)) {
      throw unexpected('ERR_INVALID_ARG_VALUE', 'target', 'a floating dtype', target);
    }
    const device = dtype === undefined ? resolveDevice('target', target) : undefined;
    const moves = this.leaves().flatMap(({ leaf }) => leaf.planMove(dtype, device) ?? []);
    requireLibtorch().moveLayers(
      moves.map((move) => move.handle),
      moves.map((move) => move.dtype),
      moves.map((move) => move.device),
    );
    return this;
  }

  /** Frees the parameters once no run uses them. A second call does nothing. */
  dispose(): void {
    assertThis(this, Module);
    if (this.#disposed) return;
    this.#disposed = true;
    this.release();
  }

  /** Calls {@link dispose} at the end of a `using` block. */
  [Symbol.dispose](): void {
    assertThis(this, Module);
    this.dispose();
  }

  /** Returns the text that console.log prints. */
  [inspectSymbol](): string {
    assertThis(this, Module);
    return this.#disposed ? `${this.constructor.name}(disposed)` : this.toString();
  }

  /** Frees the native layer, for {@link dispose}. @internal */
  protected abstract release(): void;

  /** Checks an input and runs it on the device's executor. `how` holds the layer's options. @internal */
  protected async submit<D extends FloatDType>(
    input: Tensor<D>,
    how: CallOptions | undefined,
    control: RequestOptions,
  ): Promise<[Tensor<D>, ...Tensor<D>[]]> {
    const native = requireLibtorch();
    const outputs = await request(
      control,
      (id, timeoutMs) => native.forward(this.handle(), [this.checkInput(input)], how, id, timeoutMs),
      (id) => {
        native.cancel(id);
      },
    );
    return adopted(outputs);
  }

  /** Checks an input and runs it on the calling thread. @internal */
  protected runSync<D extends FloatDType>(input: Tensor<D>, how?: CallOptions): [Tensor<D>, ...Tensor<D>[]] {
    return adopted(requireLibtorch().forwardSync(this.handle(), [this.checkInput(input)], how));
  }

  private checkInput(input: unknown): TensorArg {
    // Check the argument that native code gets. The object's own properties may differ from it.
    const argument = tensorArgument('input', input);
    const dtype = dtypeFromCode(argument.dtype);
    const own = this.hasParameters() ? this.dtype : undefined;
    if (own === undefined && !isFloatDType(dtype)) {
      throw new TokenLearnerError(
        'ERR_DTYPE_MISMATCH',
        `Expected a floating dtype for \`input\` but received ${dtype}`,
      );
    }
    if (own !== undefined && dtype !== own) {
      const orModule = isFloatDType(dtype) ? `, or the module with to('${dtype}')` : '';
      throw new TokenLearnerError(
        'ERR_DTYPE_MISMATCH',
        `Expected dtype ${own}, the module's, for \`input\` but received ${dtype}; convert it with to('${own}')${orModule}`,
      );
    }
    this.outputShape(argument.shape);
    return argument;
  }

  private hasParameters(): boolean {
    return (this.#hasParameters ??= this.leaves().some(({ leaf }) => leaf.parameterSpecs.length > 0));
  }

  private specs(): ParameterSpec[] {
    return this.leaves().flatMap(({ prefix, leaf }) =>
      leaf.parameterSpecs.map(({ name, shape }) => ({ name: prefix + name, shape })),
    );
  }
}

/** A module with its own native operator. @internal */
export interface Leaf extends Module {
  readonly parameterSpecs: readonly ParameterSpec[];
  readParameters(): AnyTensor[];
  /** Plans a move to another dtype or device; undefined if there is nothing to move. */
  planMove(dtype: FloatDType | undefined, device: Device | undefined): LeafMove | undefined;
}

/** A planned move of a leaf, in native codes. @internal */
export interface LeafMove {
  handle: LayerHandle;
  dtype: DTypeCode;
  device: DeviceCode;
}

/**
 * Writes parameters by name in one native call, so that all of them change or none. Parameters that `tensors` does not name
 * keep their values.
 */
function writeParameters(
  leaves: readonly { prefix: string; leaf: Leaf }[],
  tensors: ReadonlyMap<string, AnyTensor>,
): void {
  const changed = leaves.flatMap(({ prefix, leaf }) => {
    const given = leaf.parameterSpecs.map(({ name }) => tensors.get(prefix + name));
    if (given.every((tensor) => tensor === undefined)) return [];
    return [
      { handle: leaf.handle(), given, present: given.includes(undefined) ? leaf.readParameters() : [] },
    ];
  });
  try {
    requireLibtorch().setParameters(
      changed.map(({ handle }) => handle),
      changed.map(({ given, present }) =>
        given.map((tensor, i) => tensorArgument('parameter', tensor ?? present[i])),
      ),
    );
  } finally {
    for (const { present } of changed) for (const tensor of present) tensor.dispose();
  }
}
