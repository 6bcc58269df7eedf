import '../dispose';
import { requireLibtorch } from '../binding';
import { type Device, type DeviceOption, isDeviceOption, resolveDevice } from '../device';
import { type DType, dtypeFromCode, dtypeInfo, DTYPES, isDType } from '../dtype';
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

/** Dtypes that modules compute in. */
export type FloatDType = 'float32' | 'float64' | 'float16' | 'bfloat16';

/** The dtypes of {@link FloatDType}. */
export const FLOAT_DTYPES = DTYPES.filter(isFloatDType);

function isFloatDType(dtype: DType): dtype is FloatDType {
  return dtypeInfo(dtype).floating;
}

function adopted<D extends FloatDType>(natives: readonly NativeTensor[]): [Tensor<D>, ...Tensor<D>[]] {
  return natives.map((native) => adoptTensor(native)) as unknown as [Tensor<D>, ...Tensor<D>[]];
}

/** A named parameter of a module. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: Shape;
}

/** A class, for the check of `this`; abstract ones too. */
interface ModuleClass<M extends Module> {
  readonly name: string;
  readonly prototype: M;
}

let hasBrand: (value: object) => value is Module;

/**
 * The guard of a public method's first line: `self` is of the class, really made by its constructor, and not disposed.
 * Throws ERR_INVALID_THIS or ERR_DISPOSED. @internal
 */
export function assertUsable<M extends Module>(self: unknown, Class: ModuleClass<M>): asserts self is M {
  assertThis(self, Class);
  if (self.disposed) throw new TokenLearnerError('ERR_DISPOSED', `The ${self.constructor.name} was disposed`);
}

/** {@link assertUsable} for what also works on disposed modules. Throws ERR_INVALID_THIS. @internal */
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

/** Anything with a forward: the base of all layers and of Sequential. */
export abstract class Module {
  /** Makes structured cloning throw, with this text, instead of giving `{}`. @internal */
  readonly cloning = uncloneable('a module; send the tensors of module.stateDict() and load them there');
  #disposed = false;
  #hasParameters: boolean | undefined;

  static {
    hasBrand = (value): value is Module => #disposed in value;
  }

  /** Where the parameters are. A module without any runs where its input is, and says 'cpu'. */
  abstract get device(): Device;

  /** The parameters' dtype, which inputs must have. A module without any takes every floating dtype, and says 'float32'. */
  abstract get dtype(): FloatDType;

  /** The leaves in order, each with the prefix of its parameters' names. @internal */
  abstract leaves(prefix?: string): { prefix: string; leaf: Leaf }[];

  /** The native layer that runs this module. @internal */
  abstract handle(): LayerHandle;

  /** PyTorch's repr of the module. */
  abstract toString(): string;

  /**
   * The shape of the output for an input of this shape.
   *
   * @throws TokenLearnerError ERR_SHAPE_MISMATCH where the module cannot take such an input.
   */
  abstract outputShape(shape: Shape): number[];

  /** Runs on the device's executor thread; the event loop goes on meanwhile. The output is where the input is. */
  abstract forward<D extends FloatDType>(input: Tensor<D>, options?: RequestOptions): Promise<Tensor<D>>;

  /** The same numbers as {@link forward}, on this thread. */
  abstract forwardSync<D extends FloatDType>(input: Tensor<D>, options?: NoOptions): Tensor<D>;

  /** Number of parameter elements. */
  get numParameters(): number {
    assertUsable(this, Module);
    return this.specs().reduce((sum, { shape }) => sum + shape.reduce((n, size) => n * size, 1), 0);
  }

  /** Whether {@link dispose} was called. */
  get disposed(): boolean {
    assertThis(this, Module);
    return this.#disposed;
  }

  /** Copies of all parameters, on the CPU, by PyTorch's names. Change a module with {@link loadStateDict}. */
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

  /** Copies of all parameters, on the CPU, in the order of {@link stateDict}. */
  parameters(): AnyTensor[] {
    assertUsable(this, Module);
    return Object.values(this.stateDict());
  }

  /**
   * Replaces parameters by those of a state dict, converted to the module's dtype and device. A dict that does not fit
   * changes nothing. Forwards that were called before keep the old parameters.
   *
   * @param dict - tensors by name: an object or a Map.
   * @param options - `strict` (default true): missing and unexpected keys are errors.
   * @returns the keys that were missing and those that were unexpected.
   * @throws TokenLearnerError ERR_STATE_DICT with PyTorch's texts; ERR_DTYPE_MISMATCH for tensors that are not floats.
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
   * Moves the module to another device or dtype, in place: all of it, or nothing where it throws.
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

  /** Frees the parameters as soon as no run uses them. Calling it again does nothing. */
  dispose(): void {
    assertThis(this, Module);
    if (this.#disposed) return;
    this.#disposed = true;
    this.release();
  }

  /** {@link dispose}, for `using`. */
  [Symbol.dispose](): void {
    assertThis(this, Module);
    this.dispose();
  }

  /** What console.log shows. */
  [inspectSymbol](): string {
    assertThis(this, Module);
    return this.#disposed ? `${this.constructor.name}(disposed)` : this.toString();
  }

  /** Gives back what {@link dispose} must. @internal */
  protected abstract release(): void;

  /** Checks an input and runs it on the device's executor. `how` has the layer's own options. @internal */
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

  /** Checks an input and runs it on this thread. @internal */
  protected runSync<D extends FloatDType>(input: Tensor<D>, how?: CallOptions): [Tensor<D>, ...Tensor<D>[]] {
    return adopted(requireLibtorch().forwardSync(this.handle(), [this.checkInput(input)], how));
  }

  private checkInput(input: unknown): TensorArg {
    // What is checked is what native code gets, whatever properties the object shows.
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

/** A module with a native operator of its own. @internal */
export interface Leaf extends Module {
  readonly parameterSpecs: readonly ParameterSpec[];
  readParameters(): AnyTensor[];
  /** How to give it another dtype or device; undefined where there is nothing to do. */
  planMove(dtype: FloatDType | undefined, device: Device | undefined): LeafMove | undefined;
}

/** A leaf's way to another placement, in native codes. @internal */
export interface LeafMove {
  handle: LayerHandle;
  dtype: DTypeCode;
  device: DeviceCode;
}

/**
 * Gives leaves the parameters of their names, all in one native call: all of them change, or none. A leaf's parameters that
 * are not among `tensors` stay.
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
