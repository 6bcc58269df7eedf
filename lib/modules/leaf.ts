import { binding, requireLibtorch } from '../binding';
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

/** The device and the dtype of a module with parameters. */
export interface PlacementOptions {
  /** @default 'auto' */
  device?: 'auto' | 'cpu' | 'cuda' | `cuda:${number}`;
  /**
   * The dtype of the parameters and the inputs. Initial parameters are drawn in float32, PyTorch's default, and then converted,
   * as `module.to(dtype)` does. @default 'float32'
   */
  dtype?: FloatDType;
}

/** The option names of {@link PlacementOptions}. */
export const PLACEMENT_OPTIONS = ['device', 'dtype'] as const;

export interface Placement {
  device: Device;
  dtype: FloatDType;
}

/** Checks and resolves a caller's placement options. */
export function checkPlacement(options: { device?: unknown; dtype?: unknown }): Placement {
  return {
    dtype: options.dtype === undefined ? 'float32' : checkOneOf('options.dtype', options.dtype, FLOAT_DTYPES),
    device: resolveDevice('options.device', options.device ?? 'auto'),
  };
}

/** The placement that native code reports for a layer. */
export function placementOf(code: PlacementCode): Placement {
  return { dtype: dtypeFromCode(code & 0xff) as FloatDType, device: deviceFromCode((code >> 8) - 1) };
}

/** The placement of layers without parameters. They run on their input's device. */
const ANYWHERE: Placement = { device: 'cpu', dtype: 'float32' };

/** The definition of a layer, as one table. */
export interface LayerDefinition {
  /** The name under which native/engine/layers/layers.hpp registers it. */
  kind: string;
  /** The user of libtorch that its errors name, such as 'Linear'; null if the layer runs without libtorch. */
  libtorchUser: string | null;
  /** The configuration that the layer's file in native/engine/layers reads. */
  config: LayerConfig;
  /** The names and shapes of the parameters. @default none */
  parameters?: readonly ParameterSpec[];
  /** Creates the initial parameters, in the order of `parameters`. LeafModule copies and disposes them. */
  initial?: () => AnyTensor[];
  /** The device and dtype of the parameters. @default the CPU in float32 */
  placement?: Placement;
  /** Returns the output's shape for an input's shape. Throws ERR_SHAPE_MISMATCH if the layer cannot take the input. */
  outputShape: (input: readonly number[]) => readonly number[];
  /** PyTorch's repr of the layer. */
  repr: string;
}

/** A module with one native operator. */
export abstract class LeafModule extends Module {
  readonly #handle: LayerHandle;
  readonly #definition: LayerDefinition;

  protected constructor(definition: LayerDefinition) {
    super();
    const { kind, libtorchUser, config, placement = ANYWHERE, initial = () => [] } = definition;
    this.#definition = definition;
    const native = libtorchUser === null ? binding() : requireLibtorch(libtorchUser);
    const values = initial();
    try {
      const args = values.map((tensor) => tensorArgument('parameter', tensor));
      this.#handle = native.createLayer(
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
    return binding()
      .parameters(this.#handle)
      .map((native) => adoptTensor(native));
  }

  /** Asks native code, the only owner of this fact. @internal */
  placement(): Placement {
    return placementOf(binding().placement(this.#handle));
  }

  /** @internal */
  planMove(dtype: FloatDType | undefined, device: Device | undefined): LeafMove | undefined {
    // Without parameters there is nothing to move. Such an operator runs on its input's device.
    if (this.parameterSpecs.length === 0) return undefined;
    const now = this.placement();
    const next = { dtype: dtype ?? now.dtype, device: device ?? now.device };
    if (next.dtype === now.dtype && next.device === now.device) return undefined;
    return { handle: this.#handle, dtype: dtypeInfo(next.dtype).code, device: deviceCode(next.device) };
  }

  /** @internal */
  protected override release(): void {
    binding().disposeLayer(this.#handle);
  }
}

/** A leaf whose forward takes one tensor, returns one tensor, and has only {@link RequestOptions}. */
export abstract class UnaryLeaf extends LeafModule {
  /**
   * Runs on the device's executor thread and does not block the event loop. The output is on the input's device.
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

  /** Computes the same numbers as {@link forward} on the calling thread, and blocks it. */
  forwardSync<D extends FloatDType>(input: Tensor<D>, options?: NoOptions): Tensor<D> {
    assertUsable(this, UnaryLeaf);
    checkOptions('options', options, []);
    return this.runSync(input)[0];
  }
}
