import '../dispose';
import { requireLibtorch } from '../binding';
import { type Device, deviceCode, type DeviceOption, isDeviceOption, resolveDevice } from '../device';
import { type DType, dtypeInfo, DTYPES, isDType } from '../dtype';
import { TokenLearnerError } from '../errors';
import type { ForwardArg, LayerHandle, NativeTensor } from '../native-interface';
import type { Shape } from '../shape';
import { adoptTensor, type AnyTensor, type Tensor, tensorArgument } from '../tensor/tensor';
import { unexpected } from '../validate';
import {
  checkStateDict,
  type LoadStateDictOptions,
  type LoadStateDictResult,
  type StateDict,
} from './state-dict';

/** Dtypes that modules compute in. */
export type FloatDType = 'float32' | 'float64' | 'float16' | 'bfloat16';

/** The dtypes of {@link FloatDType}. */
export const FLOAT_DTYPES = DTYPES.filter((dtype): dtype is FloatDType => dtypeInfo(dtype).floating);

/** A named parameter of a module. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: Shape;
}

/** Anything with a forward: the base of all layers and of Sequential. */
export abstract class Module {
  #disposed = false;

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
  abstract forward(input: AnyTensor): Promise<Tensor<FloatDType>>;

  /** The same numbers as {@link forward}, on this thread. */
  abstract forwardSync(input: AnyTensor): Tensor<FloatDType>;

  /** Number of parameter elements. */
  get numParameters(): number {
    this.assertUsable();
    return this.specs().reduce((sum, { shape }) => sum + shape.reduce((n, size) => n * size, 1), 0);
  }

  /** Whether {@link dispose} was called. */
  get disposed(): boolean {
    return this.#disposed;
  }

  /** Copies of all parameters, on the CPU, by PyTorch's names. Change a module with {@link loadStateDict}. */
  stateDict(): StateDict {
    this.assertUsable();
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
    return Object.values(this.stateDict());
  }

  /**
   * Replaces parameters by those of a state dict, converted to the module's dtype and device. Nothing is changed when it
   * throws. Forwards that were called before keep the old parameters.
   *
   * @param options - `strict` (default true): missing and unexpected keys are errors.
   * @returns the keys that were missing and those that were unexpected.
   * @throws TokenLearnerError ERR_STATE_DICT with PyTorch's texts; ERR_DTYPE_MISMATCH for tensors that are not floats.
   */
  loadStateDict(dict: StateDict, options?: LoadStateDictOptions): LoadStateDictResult {
    this.assertUsable();
    const result = checkStateDict(this.constructor.name, this.specs(), dict, options);
    const changes = this.leaves()
      .filter(({ leaf }) => leaf.parameterSpecs.length > 0)
      .map(({ prefix, leaf }) => ({
        leaf,
        tensors: leaf.parameterSpecs.map(({ name }) => dict[prefix + name]),
      }));
    for (const { leaf, tensors } of changes) leaf.writeParameters(tensors);
    return result;
  }

  /**
   * Moves the module to another device or dtype, in place.
   *
   * @param target - a device ('auto', 'cpu', 'cuda', 'cuda:N') or a floating dtype.
   * @returns the module itself.
   * @throws TokenLearnerError ERR_INVALID_ARG_VALUE, ERR_CUDA_UNAVAILABLE, ERR_OUT_OF_MEMORY.
   */
  to(target: DeviceOption | FloatDType): this {
    this.assertUsable();
    const dtype = isDType(target) ? target : undefined;
    if (dtype === undefined && !isDeviceOption(target)) {
      throw unexpected(
        typeof target === 'string' ? 'ERR_INVALID_ARG_VALUE' : 'ERR_INVALID_ARG_TYPE',
        'target',
        'a device or a floating dtype',
        target,
      );
    }
    if (dtype !== undefined && !(FLOAT_DTYPES as readonly DType[]).includes(dtype)) {
      throw unexpected('ERR_INVALID_ARG_VALUE', 'target', 'a floating dtype', target);
    }
    const device = dtype === undefined ? resolveDevice('target', target) : undefined;
    for (const { leaf } of this.leaves()) leaf.place(dtype as FloatDType | undefined, device);
    return this;
  }

  /** Frees the parameters as soon as no run uses them. Calling it again does nothing. */
  dispose(): void {
    this.#assertThis();
    if (this.#disposed) return;
    this.#disposed = true;
    this.release();
  }

  /** {@link dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Gives back what {@link dispose} must. @internal */
  protected abstract release(): void;

  /** Throws ERR_INVALID_THIS or ERR_DISPOSED. @internal */
  protected assertUsable(): void {
    this.#assertThis();
    if (this.#disposed)
      throw new TokenLearnerError('ERR_DISPOSED', `The ${this.constructor.name} was disposed`);
  }

  /** Checks an input and runs it on the device's executor. @internal */
  protected async submit(input: AnyTensor, how: ForwardArg): Promise<AnyTensor[]> {
    const results = await requireLibtorch().forward(this.handle(), this.checkInput(input), how);
    return results.map((native: NativeTensor) => adoptTensor(native));
  }

  /** Checks an input and runs it on this thread. @internal */
  protected runSync(input: AnyTensor, how: ForwardArg): AnyTensor[] {
    return requireLibtorch()
      .forwardSync(this.handle(), this.checkInput(input), how)
      .map((native) => adoptTensor(native));
  }

  private checkInput(input: AnyTensor): ReturnType<typeof tensorArgument> {
    this.assertUsable();
    const argument = tensorArgument('input', input);
    const own = this.parameterDType();
    if (own === undefined && !(FLOAT_DTYPES as readonly DType[]).includes(input.dtype)) {
      throw new TokenLearnerError(
        'ERR_DTYPE_MISMATCH',
        `Expected a floating dtype for \`input\` but received ${input.dtype}`,
      );
    }
    if (own !== undefined && input.dtype !== own) {
      throw new TokenLearnerError(
        'ERR_DTYPE_MISMATCH',
        `Expected dtype ${own}, the module's, for \`input\` but received ${input.dtype}; convert one with to('${own}') or to('${input.dtype}')`,
      );
    }
    this.outputShape(input.shape);
    return argument;
  }

  private parameterDType(): FloatDType | undefined {
    return this.leaves().find(({ leaf }) => leaf.parameterSpecs.length > 0)?.leaf.dtype;
  }

  private specs(): ParameterSpec[] {
    return this.leaves().flatMap(({ prefix, leaf }) =>
      leaf.parameterSpecs.map(({ name, shape }) => ({ name: prefix + name, shape })),
    );
  }

  #assertThis(): void {
    if (!(#disposed in this)) {
      throw new TokenLearnerError('ERR_INVALID_THIS', 'Expected `this` to be a module of tokenlearner');
    }
  }
}

/** A module with a native operator of its own. @internal */
export interface Leaf extends Module {
  readonly parameterSpecs: readonly ParameterSpec[];
  readParameters(): AnyTensor[];
  /** Undefined entries keep the parameter that is there. */
  writeParameters(tensors: readonly (AnyTensor | undefined)[]): void;
  place(dtype: FloatDType | undefined, device: Device | undefined): void;
}

/** The native code of a placement. @internal */
export function placementCodes(dtype: FloatDType, device: Device): [number, number] {
  return [dtypeInfo(dtype).code, deviceCode(device)];
}
