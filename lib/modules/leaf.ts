import { binding, requireLibtorch } from '../binding';
import { deviceCode, resolveDevice } from '../device';
import { dtypeInfo, FLOAT_DTYPES, type FloatDType } from '../dtype';
import type { LayerHandle } from '../native-interface';
import { checkShape, type Shape } from '../shape';
import { type Tensor, tensorArgument } from '../tensor/tensor';
import { checkOneOf, checkOptions, type NoOptions } from '../validate';
import { Module } from './module';
import {
  type LayerDefinition,
  NativeLayer,
  type Placement,
  type WholeDefinition,
  withDefaults,
} from './native';
import { openedLayer } from './opening';
import { markBuiltIn } from './plan';
import { checkRequest, REQUEST_OPTIONS, type RequestOptions } from './request';
import { runSync, submit } from './run';
import { assertUsable, attachLayer, layerOf } from './state';
import { repr } from './tree';

/** The device and the dtype of a module with parameters. */
export interface PlacementOptions {
  /** @default 'auto' */
  device?: 'auto' | 'cpu' | 'cuda' | `cuda:${number}` | undefined;
  /**
   * The dtype of the parameters and the inputs. Initial parameters are drawn in float32, PyTorch's default, and then converted,
   * as `module.to(dtype)` does. @default 'float32'
   */
  dtype?: FloatDType | undefined;
}

/** The option names of {@link PlacementOptions}. */
export const PLACEMENT_OPTIONS = ['device', 'dtype'] as const;

/** Checks and resolves a caller's placement options. */
export function checkPlacement(options: { device?: unknown; dtype?: unknown }): Placement {
  return {
    dtype: options.dtype === undefined ? 'float32' : checkOneOf('options.dtype', options.dtype, FLOAT_DTYPES),
    device: resolveDevice('options.device', options.device ?? 'auto'),
  };
}

/** A new native layer, with the initial parameters. */
function createLayer({ kind, libtorchUser, config, placement, initial }: WholeDefinition): LayerHandle {
  const native = libtorchUser === null ? binding() : requireLibtorch(libtorchUser);
  const values = initial();
  try {
    const args = values.map((tensor) => tensorArgument('parameter', tensor));
    return native.createLayer(
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

/**
 * A module with one native operator.
 *
 * @example
 * ```ts
 * import { LeafModule, TokenLearner } from 'tokenlearner';
 *
 * const layer: LeafModule = new TokenLearner({ dim: 64 });
 * console.log(layer.outputShape([2, 64, 16, 16])); // [ 2, 64, 8 ]
 * ```
 */
export abstract class LeafModule extends Module {
  protected constructor(definition: LayerDefinition) {
    super();
    const whole = withDefaults(definition);
    const handle = openedLayer(whole) ?? createLayer(whole);
    attachLayer(this, new NativeLayer(handle, whole));
  }

  override outputShape(shape: Shape): number[] {
    assertUsable(this, LeafModule);
    return layerOf(this).outputShape(checkShape('shape', shape));
  }

  override toString(): string {
    assertUsable(this, LeafModule);
    const { repr: own } = layerOf(this).definition;
    return repr(this, own.slice(own.indexOf('(') + 1, -1));
  }
}

/**
 * A leaf whose forward takes one tensor, returns one tensor, and has only {@link RequestOptions}.
 *
 * @example
 * ```ts
 * import { Linear, ReLU, Tensor, type UnaryLeaf } from 'tokenlearner';
 *
 * const layers: UnaryLeaf[] = [new Linear(4, 8), new ReLU()];
 * let x = Tensor.ones([1, 4]);
 * for (const layer of layers) x = await layer.forward(x);
 * console.log(x.shape); // [ 1, 8 ]
 * ```
 */
export abstract class UnaryLeaf extends LeafModule {
  static {
    markBuiltIn(this);
  }

  /**
   * Runs on the device's executor thread and does not block the event loop. The output is on the input's device.
   *
   * @throws TokenLearnerError (as a rejection) ERR_SHAPE_MISMATCH, ERR_DTYPE_MISMATCH, ERR_DISPOSED, ERR_DETACHED,
   * ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY, ERR_QUEUE_FULL, ERR_TIMEOUT, ERR_DEVICE_LOST,
   * ERR_CLOSED; the signal's reason.
   */
  override async forward<D extends FloatDType>(
    input: Tensor<D>,
    options?: RequestOptions,
  ): Promise<Tensor<D>> {
    assertUsable(this, UnaryLeaf);
    const control = checkRequest(checkOptions('options', options, REQUEST_OPTIONS));
    return (await submit(layerOf(this), input, undefined, control))[0];
  }

  /** Computes the same numbers as {@link forward} on the calling thread, and blocks it. */
  override forwardSync<D extends FloatDType>(input: Tensor<D>, options?: NoOptions): Tensor<D> {
    assertUsable(this, UnaryLeaf);
    checkOptions('options', options, []);
    return runSync(layerOf(this), input)[0];
  }
}
