import { requireLibtorch } from '../binding';
import { type Device, deviceCode, deviceFromCode, resolveDevice } from '../device';
import { dtypeFromCode, dtypeInfo } from '../dtype';
import type { LayerConfig, LayerHandle, PlacementCode } from '../native-interface';
import { checkShape, type Shape } from '../shape';
import { adoptTensor, type AnyTensor, type Tensor, tensorArgument } from '../tensor/tensor';
import { checkOneOf, checkOptions, type NoOptions } from '../validate';
import {
  assertUsable,
  FLOAT_DTYPES,
  type FloatDType,
  type Leaf,
  type LeafMove,
  Module,
  type ParameterSpec,
} from './module';
import { checkRequest, REQUEST_OPTIONS, type RequestOptions } from './request';

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

export interface Placement {
  device: Device;
  dtype: FloatDType;
}

/** Resolves placement options from a caller. */
export function checkPlacement(options: { device?: unknown; dtype?: unknown }): Placement {
  return {
    dtype: options.dtype === undefined ? 'float32' : checkOneOf('options.dtype', options.dtype, FLOAT_DTYPES),
    device: resolveDevice('options.device', options.device ?? 'auto'),
  };
}

/** What native code says of a layer. */
export function placementOf(code: PlacementCode): Placement {
  return { dtype: dtypeFromCode(code & 0xff) as FloatDType, device: deviceFromCode((code >> 8) - 1) };
}

/** Of layers without parameters, which run where their input is. */
const ANYWHERE: Placement = { device: 'cpu', dtype: 'float32' };

/** All that makes a layer: one row of a table. */
export interface LayerDefinition {
  /** As native/engine/layers/layers.hpp registers it. */
  kind: string;
  /** As the layer's file in native/engine/layers reads it. */
  config: LayerConfig;
  /** @default none */
  parameters?: readonly ParameterSpec[];
  /** Makes the parameters, in that order; they are copied and disposed. */
  initial?: () => AnyTensor[];
  /** Where the parameters go. @default the CPU in float32 */
  placement?: Placement;
  /** The output's shape for a valid input's. Throws ERR_SHAPE_MISMATCH where the layer cannot take it. */
  outputShape: (input: readonly number[]) => readonly number[];
  /** PyTorch's repr. */
  repr: string;
}

/** A module of one native operator. */
export abstract class LeafModule extends Module implements Leaf {
  readonly #handle: LayerHandle;
  readonly #definition: LayerDefinition;

  protected constructor(definition: LayerDefinition) {
    super();
    const { kind, config, placement = ANYWHERE, initial = () => [] } = definition;
    this.#definition = definition;
    const values = initial();
    try {
      const args = values.map((tensor) => tensorArgument('parameter', tensor));
      this.#handle = requireLibtorch().createLayer(
        kind,
        config,
        args,
        dtypeInfo(placement.dtype).code,
        deviceCode(placement.device),
      );
    } finally {
      for (const tensor of values) tensor.dispose();
    }
  }

  override get device(): Device {
    assertUsable(this, LeafModule);
    return this.placement().device;
  }

  override get dtype(): FloatDType {
    assertUsable(this, LeafModule);
    return this.placement().dtype;
  }

  override outputShape(shape: Shape): number[] {
    assertUsable(this, LeafModule);
    return checkShape('output.shape', this.#definition.outputShape(checkShape('shape', shape)));
  }

  override toString(): string {
    assertUsable(this, LeafModule);
    return this.#definition.repr;
  }

  /** @internal */
  get parameterSpecs(): readonly ParameterSpec[] {
    return this.#definition.parameters ?? [];
  }

  /** @internal */
  override leaves(prefix = ''): { prefix: string; leaf: Leaf }[] {
    return [{ prefix, leaf: this }];
  }

  /** @internal */
  override handle(): LayerHandle {
    return this.#handle;
  }

  /** @internal */
  readParameters(): AnyTensor[] {
    return requireLibtorch()
      .parameters(this.#handle)
      .map((native) => adoptTensor(native));
  }

  /** Native code owns this fact. @internal */
  placement(): Placement {
    return placementOf(requireLibtorch().placement(this.#handle));
  }

  /** @internal */
  planMove(dtype: FloatDType | undefined, device: Device | undefined): LeafMove | undefined {
    // Without parameters there is nothing to move: such an operator runs where its input is.
    if (this.parameterSpecs.length === 0) return undefined;
    const now = this.placement();
    const next = { dtype: dtype ?? now.dtype, device: device ?? now.device };
    if (next.dtype === now.dtype && next.device === now.device) return undefined;
    return { handle: this.#handle, dtype: dtypeInfo(next.dtype).code, device: deviceCode(next.device) };
  }

  /** @internal */
  protected override release(): void {
    requireLibtorch().disposeLayer(this.#handle);
  }
}

/** A leaf whose forward takes and gives one tensor, and has no options of its own. */
export abstract class UnaryLeaf extends LeafModule {
  /**
   * Runs on the device's executor thread; the event loop goes on. The output is where the input is.
   *
   * @throws TokenLearnerError (as a rejection) ERR_SHAPE_MISMATCH, ERR_DTYPE_MISMATCH, ERR_DISPOSED, ERR_DETACHED,
   * ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY, ERR_QUEUE_FULL, ERR_TIMEOUT, ERR_DEVICE_LOST,
   * ERR_CLOSED; the signal's reason.
   */
  async forward<D extends FloatDType>(input: Tensor<D>, options?: RequestOptions): Promise<Tensor<D>> {
    assertUsable(this, UnaryLeaf);
    const control = checkRequest(checkOptions('options', options, REQUEST_OPTIONS));
    return (await this.submit(input, undefined, control))[0];
  }

  /** The same numbers, on this thread. */
  forwardSync<D extends FloatDType>(input: Tensor<D>, options?: NoOptions): Tensor<D> {
    assertUsable(this, UnaryLeaf);
    checkOptions('options', options, []);
    return this.runSync(input)[0];
  }
}
