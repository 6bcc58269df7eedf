import { requireLibtorch } from '../binding';
import { type Device, resolveDevice } from '../device';
import type { LayerHandle, LayerKind } from '../native-interface';
import { adoptTensor, type AnyTensor, type Tensor, tensorArgument } from '../tensor/tensor';
import { checkOneOf, checkOptions, type NoOptions } from '../validate';
import {
  assertUsable,
  FLOAT_DTYPES,
  type FloatDType,
  Module,
  type Leaf,
  type LeafMove,
  type ParameterSpec,
  placementCodes,
} from './module';

/** Where and in what a module with parameters is made. */
export interface PlacementOptions {
  /** @default 'auto' */
  device?: 'auto' | 'cpu' | 'cuda' | `cuda:${number}`;
  /**
   * Of the parameters and the inputs. Initial parameters are drawn in float32, PyTorch's default, and then converted, as
   * `module.to(dtype)` does. @default 'float32'
   */
  dtype?: FloatDType;
}

/** The option names of {@link PlacementOptions}. */
export const PLACEMENT_OPTIONS = ['device', 'dtype'] as const;

/** Resolves placement options from a caller. */
export function checkPlacement(options: { device?: unknown; dtype?: unknown }): {
  device: Device;
  dtype: FloatDType;
} {
  return {
    dtype: options.dtype === undefined ? 'float32' : checkOneOf('options.dtype', options.dtype, FLOAT_DTYPES),
    device: resolveDevice('options.device', options.device ?? 'auto'),
  };
}

/** What a leaf is made of. */
export interface LeafInit {
  kind: LayerKind;
  config: Record<string, number | boolean | string>;
  device: Device;
  dtype: FloatDType;
  specs: readonly ParameterSpec[];
  /** In the order of `specs`; they are copied and disposed. */
  values: readonly AnyTensor[];
}

/** A module of one native operator. */
export abstract class LeafModule extends Module {
  readonly #handle: LayerHandle;
  readonly #specs: readonly ParameterSpec[];
  #device: Device;
  #dtype: FloatDType;

  protected constructor({ kind, config, device, dtype, specs, values }: LeafInit) {
    super();
    this.#specs = specs;
    this.#device = device;
    this.#dtype = dtype;
    try {
      const args = values.map((tensor) => tensorArgument('parameter', tensor));
      this.#handle = requireLibtorch().createLayer(kind, config, args, ...placementCodes(dtype, device));
    } finally {
      for (const tensor of values) tensor.dispose();
    }
  }

  override get device(): Device {
    assertUsable(this, LeafModule);
    return this.#device;
  }

  override get dtype(): FloatDType {
    assertUsable(this, LeafModule);
    return this.#dtype;
  }

  /** @internal */
  get parameterSpecs(): readonly ParameterSpec[] {
    return this.#specs;
  }

  /** @internal */
  override leaves(prefix = ''): { prefix: string; leaf: Leaf }[] {
    return [{ prefix, leaf: this }];
  }

  /** @internal */
  override handle(): LayerHandle {
    assertUsable(this, LeafModule);
    return this.#handle;
  }

  /** @internal */
  readParameters(): AnyTensor[] {
    return requireLibtorch()
      .parameters(this.#handle)
      .map((native) => adoptTensor(native));
  }

  /** @internal */
  planMove(dtype: FloatDType = this.#dtype, device: Device = this.#device): LeafMove | undefined {
    if (dtype === this.#dtype && device === this.#device) return undefined;
    // Without parameters there is nothing to move: such an operator runs where its input is.
    if (this.#specs.length === 0) return undefined;
    return {
      handle: this.handle(),
      codes: placementCodes(dtype, device),
      done: () => {
        this.#dtype = dtype;
        this.#device = device;
      },
    };
  }

  /** @internal */
  protected override release(): void {
    requireLibtorch().disposeLayer(this.#handle);
  }
}

/** A leaf whose forward takes and gives one tensor. */
export abstract class UnaryLeaf extends LeafModule {
  /**
   * Runs on the device's executor thread; the event loop goes on. The output is where the input is.
   *
   * @throws TokenLearnerError (as a rejection) ERR_SHAPE_MISMATCH, ERR_DTYPE_MISMATCH, ERR_DISPOSED, ERR_DETACHED,
   * ERR_OUT_OF_MEMORY.
   */
  async forward<D extends FloatDType>(input: Tensor<D>, options?: NoOptions): Promise<Tensor<D>> {
    assertUsable(this, UnaryLeaf);
    checkOptions('options', options, []);
    return (await this.submit(input))[0];
  }

  /** The same numbers, on this thread. */
  forwardSync<D extends FloatDType>(input: Tensor<D>, options?: NoOptions): Tensor<D> {
    assertUsable(this, UnaryLeaf);
    checkOptions('options', options, []);
    return this.runSync(input)[0];
  }
}
