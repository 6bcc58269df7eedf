/** Native layers, and graphs of them: what a forward runs. */
import { binding } from '../binding';
import { type Device, deviceCode, deviceFromCode } from '../device';
import { type DType, dtypeFromCode, dtypeInfo, type FloatDType } from '../dtype';
import type { CallOptions, LayerConfig, LayerHandle, PlacementCode } from '../native-interface';
import { checkShape, elementCount, type Shape } from '../shape';
import { adoptTensor, type AnyTensor, tensorArgument } from '../tensor/tensor';

/** A named parameter of a layer. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: Shape;
  /** Its own dtype. @default that of the layer */
  readonly dtype?: DType;
}

/** The device and the dtype of parameters. */
export interface Placement {
  device: Device;
  dtype: FloatDType;
}

/** The definition of a layer, as one table. */
export interface LayerDefinition {
  /** The name under which native/engine/layers/layers.hpp registers it. */
  kind: string;
  /** The user of libtorch that its errors name, such as 'Linear'; null if the layer runs without libtorch. */
  libtorchUser: string | null;
  /** The configuration that the layer's file in native/engine/layers reads. */
  config: LayerConfig;
  /**
   * The arguments of the class's constructor for the same layer on the CPU, as JSON can hold them. `openShared` passes them.
   *
   * @default none
   */
  arguments?: readonly unknown[];
  /** The names and shapes of the parameters. @default none */
  parameters?: readonly ParameterSpec[];
  /** Creates the initial parameters, in the order of `parameters`. LeafModule copies and disposes them. */
  initial?: () => AnyTensor[];
  /** The device and dtype of the parameters. @default the CPU in float32 */
  placement?: Placement;
  /**
   * Returns the output's shape for an input's shape and the options of a call. Throws ERR_SHAPE_MISMATCH if the layer cannot take
   * the input.
   */
  outputShape: (input: readonly number[], how?: CallOptions) => readonly number[];
  /** PyTorch's repr of the layer, 'ReLU()'. A subclass's repr has its own name. */
  repr: string;
}

/** A definition with its defaults. It inherits nothing that Object.prototype may have. */
export type WholeDefinition = Required<LayerDefinition>;

/** Two layers of the same signature differ in the values of their parameters and in their placement only. */
export function signatureOf({ kind, config, parameters }: WholeDefinition): string {
  return JSON.stringify([kind, config, parameters]);
}

/** The placement of layers without parameters. They run on their input's device. */
export const ANYWHERE: Placement = { device: 'cpu', dtype: 'float32' };

/** A definition with its defaults. */
export function withDefaults(definition: LayerDefinition): WholeDefinition {
  return { arguments: [], parameters: [], initial: () => [], placement: ANYWHERE, ...definition };
}

function placementOf(code: PlacementCode): Placement {
  return { dtype: dtypeFromCode(code & 0xff) as FloatDType, device: deviceFromCode((code >> 8) - 1) };
}

/** How often layers were moved, or got other operators: only that changes placements. */
let moves = 0;

/** Anything that native code runs as one request. */
export abstract class Runnable {
  readonly handle: LayerHandle;
  /** False if it takes inputs of every floating dtype. */
  readonly hasParameters: boolean;
  /** The dtype of its input, if that is not the one of its placement. */
  readonly inputDType: DType | undefined;
  #placement = ANYWHERE;
  /** The value of `moves` when the placement was asked for. */
  #placed = -1;

  constructor(handle: LayerHandle, hasParameters: boolean, inputDType?: DType) {
    this.handle = handle;
    this.hasParameters = hasParameters;
    this.inputDType = inputDType;
  }

  /**
   * Returns the output's shape for an input's shape and the options of a call. Throws ERR_SHAPE_MISMATCH if it cannot take the
   * input.
   */
  abstract outputShape(input: readonly number[], how?: CallOptions): number[];

  /** The same for the check of an input. Undefined if only a run tells the output's shape. */
  accepts(input: readonly number[], how?: CallOptions): Shape | undefined {
    return this.outputShape(input, how);
  }

  /** Asks native code after each move of layers. For a graph it is the placement of the first layer with parameters. */
  placement(): Readonly<Placement> {
    if (this.#placed !== moves) {
      this.#placement = placementOf(binding().placement(this.handle));
      this.#placed = moves;
    }
    return this.#placement;
  }

  /** Frees the native layer once no run uses it. */
  dispose(): void {
    binding().disposeLayer(this.handle);
  }
}

/** The native layer of one module. */
export class NativeLayer extends Runnable {
  readonly definition: WholeDefinition;
  readonly specs: readonly ParameterSpec[];

  constructor(
    handle: LayerHandle,
    definition: WholeDefinition,
    hasParameters = definition.parameters.length > 0,
    inputDType?: DType,
  ) {
    super(handle, hasParameters, inputDType);
    this.definition = definition;
    this.specs = definition.parameters;
  }

  override outputShape(input: readonly number[], how?: CallOptions): number[] {
    return checkShape('output.shape', this.definition.outputShape(input, how));
  }

  /** Without a copy, which every forward would pay for. */
  override accepts(input: readonly number[], how?: CallOptions): Shape | undefined {
    const shape = this.definition.outputShape(input, how);
    elementCount(shape);
    return shape;
  }

  /** Throws if the values of the parameters cannot be had. */
  demandValues(): void {
    // They can, of all layers but those of some compiled programs.
  }

  /** Copies the parameters to the CPU, in the order of `specs`. Throws the errors of {@link demandValues}. */
  readParameters(): AnyTensor[] {
    this.demandValues();
    return binding()
      .parameters(this.handle)
      .map((native) => adoptTensor(native));
  }
}

/**
 * Copies the parameters of layers to the CPU on the executors' threads, as they are at the call. All layers of a device are one
 * request: so a model never competes with itself for room in the queue.
 */
export async function readParametersAsync(layers: readonly NativeLayer[]): Promise<AnyTensor[][]> {
  const byDevice = new Map<Device, number[]>();
  for (const [i, layer] of layers.entries()) {
    if (layer.specs.length === 0) continue;
    layer.demandValues();
    const { device } = layer.placement();
    byDevice.set(device, [...(byDevice.get(device) ?? []), i]);
  }
  const results = layers.map((): AnyTensor[] => []);
  const copies = [...byDevice.values()].map(async (indices) => {
    const handles = indices.flatMap((i) => layers[i]?.handle ?? []);
    const tensors = (await binding().parametersAsync(handles)).map((native) => adoptTensor(native));
    for (const i of indices) results[i] = tensors.splice(0, layers[i]?.specs.length);
  });
  await Promise.all(copies);
  return results;
}

/** Native layers and graphs that run one after the other, as one request. */
export class NativeGraph extends Runnable {
  readonly #parts: readonly Runnable[];

  constructor(parts: readonly Runnable[]) {
    // Slot 0 is the input; part i fills slot i + 1.
    const nodes = parts.map((_, i) => [i]);
    const handles = parts.map(({ handle }) => handle);
    super(
      binding().createContainer(handles, 1, nodes, [parts.length]),
      parts.some(({ hasParameters }) => hasParameters),
      parts[0]?.inputDType,
    );
    this.#parts = parts;
  }

  override accepts(input: readonly number[]): Shape | undefined {
    return this.#parts.reduce<Shape | undefined>((shape, part) => shape && part.accepts(shape), input);
  }

  override outputShape(input: readonly number[]): number[] {
    return this.#parts.reduce<number[]>((shape, part) => part.outputShape(shape), [...input]);
  }
}

/**
 * Moves layers to another dtype or device in one native call, so that all of them move or none. Layers without parameters stay:
 * they run on their input's device.
 */
export function moveLayers(layers: readonly NativeLayer[], target: Partial<Placement>): void {
  const moving = layers
    .filter(({ hasParameters }) => hasParameters)
    .map((layer) => ({ layer, now: layer.placement() }))
    .map(({ layer, now }) => ({ layer, now, next: { ...now, ...target } }))
    .filter(({ now, next }) => next.dtype !== now.dtype || next.device !== now.device);
  moves += 1;
  binding().moveLayers(
    moving.map(({ layer }) => layer.handle),
    moving.map(({ next }) => dtypeInfo(next.dtype).code),
    moving.map(({ next }) => deviceCode(next.device)),
  );
}

/** Gives each opened layer the operator of the opened one at its position, which may have another placement. */
export function adoptLayers(targets: readonly NativeLayer[], sources: readonly LayerHandle[]): void {
  moves += 1;
  binding().adoptLayers(
    targets.map(({ handle }) => handle),
    sources,
  );
}

/** Replaces parameters, given by name, in one native call, so that all of them change or none. The others keep their values. */
export function writeParameters(given: ReadonlyMap<NativeLayer, ReadonlyMap<string, AnyTensor>>): void {
  const changed = [...given].map(([layer, tensors]) => ({
    layer,
    tensors,
    present: tensors.size < layer.specs.length ? layer.readParameters() : [],
  }));
  try {
    binding().setParameters(
      changed.map(({ layer }) => layer.handle),
      changed.map(({ layer, tensors, present }) =>
        layer.specs.map(({ name }, i) => tensorArgument('parameter', tensors.get(name) ?? present[i])),
      ),
    );
  } finally {
    for (const { present } of changed) for (const tensor of present) tensor.dispose();
  }
}
