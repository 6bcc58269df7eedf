/**
 * What the native addon exports: the contract between lib/ and native/boundary/.
 *
 * Everything that reaches these functions has been validated in lib/; the boundary checks handles and sizes
 * once more, so that a mistake here is an error and never a crash.
 */
import type { ErrorCode } from './errors';

declare const storageBrand: unique symbol;
declare const layerBrand: unique symbol;

/** Native memory with its own reference count. Freed when disposed or collected, and no run still uses it. */
export interface StorageHandle {
  readonly [storageBrand]: true;
}

/** A native layer: immutable configuration and an atomically replaceable set of parameters. */
export interface LayerHandle {
  readonly [layerBrand]: true;
}

/** Codes of {@link DType} on the boundary; the numbers are libtorch's ScalarType. */
export type DTypeCode = number;

/** -1 is the CPU; 0 and up is that CUDA device. */
export type DeviceCode = number;

/** A dtype's code in the low byte, a device's code plus 1 above it: asked for at every forward. */
export type PlacementCode = number;

/** A tensor on its way into native code. Strides and offset are in elements, not bytes. */
export interface TensorArg {
  /** Native memory, or JavaScript's own (element 0 is the view's first element). */
  storage: StorageHandle | ArrayBufferView;
  dtype: DTypeCode;
  shape: readonly number[];
  strides: readonly number[];
  offset: number;
}

/** A tensor that native code made. */
export interface NativeTensor {
  storage: StorageHandle;
  dtype: DTypeCode;
  device: DeviceCode;
  shape: number[];
  strides: number[];
  offset: number;
}

/** A layer's configuration by name, as its file in native/engine/layers reads it. */
export type LayerConfig = Readonly<Record<string, number | boolean | string | readonly number[]>>;

/** A layer's own options of one call. */
export type CallOptions = Readonly<Record<string, number | boolean | string>>;

export interface CudaReport {
  available: boolean;
  /** Machine-readable: null when available. */
  reason: string | null;
  /** The same for people. */
  detail: string | null;
  devices: { index: number; name: string; totalMemory: number; computeCapability: string }[];
  /** Index of the device that 'auto' means: the first that could be started. */
  defaultDevice: number;
}

/** What limits the number of threads. */
export type ThreadsReason = 'cores' | 'affinity' | 'cgroup' | 'OMP_NUM_THREADS';

export interface NativeBinding {
  /** How the addon was built. */
  readonly build: { version: string; cuda: boolean; cudaArchitectures: string; torchTarget: string };

  /**
   * The addon makes every error it throws or rejects with by calling `createError`. `lends` says whether JavaScript may see
   * native memory as it is: on the main thread. A worker's buffers can outlive it.
   */
  configure(createError: (code: ErrorCode, message: string) => Error, lends: boolean): void;

  /**
   * Host memory, 64-byte aligned where it is native. `zeroed` false may leave it uninitialised; `pinned` asks for page-locked
   * memory, which there is where CUDA can be used (needs loadLibtorch).
   */
  allocate(byteLength: number, zeroed: boolean, pinned: boolean): StorageHandle;
  /**
   * Shows the storage's host memory to JavaScript, once: the ArrayBuffer, and whether it is lent. If so it stands on the
   * storage's own memory, holds a count of its own, and the handle goes on. If not, V8 owns the memory, the handle is disposed
   * and the ArrayBuffer is what was the storage. Throws ERR_DETACHED where the memory is lent already.
   */
  share(storage: StorageHandle): [buffer: ArrayBuffer, lent: boolean];
  /** Gives up this handle's count. Idempotent. What {@link share} gave stays valid. */
  disposeStorage(storage: StorageHandle): void;
  /** Live native storages, their bytes, and live layers, in this environment. */
  counters(): { liveTensors: number; liveBytes: number; liveLayers: number };

  /** Seeds this environment's generator (at::mt19937's stream). */
  manualSeed(seed: bigint): void;
  /** `torch.Tensor.uniform_` on a contiguous float32 or float64 CPU tensor. */
  uniform(target: TensorArg, from: number, to: number): void;
  /** `torch.Tensor.normal_(0, 1)` on a contiguous float32 or float64 CPU tensor. */
  normal(target: TensorArg): void;

  /** Loads libtorch from its lib folder by absolute path; once per process, the same folder again is a no-op. */
  loadLibtorch(libDir: string): void;
  /** What the loaded libtorch is; null before loadLibtorch. */
  libtorch(): { libDir: string; version: string; cudaBuild: boolean; threads: number } | null;
  /** The lib folder of a libtorch that this process has loaded, whoever did; null where there is none. */
  mappedLibtorch(): string | null;
  /** Threads of the fused CPU engine and what limits them, and the instruction sets that it can use here, worst first. */
  cpu(): { threads: number; threadsReason: ThreadsReason; isas: string[] };
  /** Whether CUDA can be used, and why not. Needs loadLibtorch. */
  cuda(): CudaReport;

  /** Copies a contiguous CPU tensor's bytes into a typed array of as many bytes. */
  read(source: TensorArg, target: ArrayBufferView): void;
  /** Copies a typed array's bytes into a contiguous CPU tensor of as many bytes. */
  write(target: TensorArg, source: ArrayBufferView): void;
  /** Fills a contiguous CPU tensor with the one element of a typed array. */
  fill(target: TensorArg, element: ArrayBufferView): void;

  /** A contiguous copy with another dtype and/or on another device. */
  copy(source: TensorArg, dtype: DTypeCode, device: DeviceCode): NativeTensor;

  /** `kind` is one of native/engine/layers/layers.hpp; `params` are in the layer's own documented order and are copied. */
  createLayer(
    kind: string,
    config: LayerConfig,
    params: readonly TensorArg[],
    dtype: DTypeCode,
    device: DeviceCode,
  ): LayerHandle;
  /**
   * A layer that runs others as one request, as a graph: slots 0 to `inputs` - 1 are its inputs, layer i takes the slots
   * `nodes[i]` and fills the next one; `outputs` are the slots that it gives.
   */
  createContainer(
    layers: readonly LayerHandle[],
    inputs: number,
    nodes: readonly (readonly number[])[],
    outputs: readonly number[],
  ): LayerHandle;
  /** Replaces all parameters of all layers, or none where it throws; runs under way keep the old ones. */
  setParameters(layers: readonly LayerHandle[], params: readonly (readonly TensorArg[])[]): void;
  /** Copies of the parameters, on the CPU, in the layer's dtype. */
  parameters(layer: LayerHandle): NativeTensor[];
  /** Where a layer is: of a container, its first layer that has parameters. */
  placement(layer: LayerHandle): PlacementCode;
  /** Moves all layers, each to its own placement, or none where it throws. */
  moveLayers(
    layers: readonly LayerHandle[],
    dtypes: readonly DTypeCode[],
    devices: readonly DeviceCode[],
  ): void;
  disposeLayer(layer: LayerHandle): void;

  /**
   * Runs on the device's executor thread; resolves to the layer's outputs. `id` is for {@link cancel}, 0 for nobody; a request
   * that has not begun after `timeoutMs` fails with ERR_TIMEOUT.
   */
  forward(
    layer: LayerHandle,
    inputs: readonly TensorArg[],
    how: CallOptions | undefined,
    id: number,
    timeoutMs?: number,
  ): Promise<NativeTensor[]>;
  /** Runs on this thread. */
  forwardSync(layer: LayerHandle, inputs: readonly TensorArg[], how?: CallOptions): NativeTensor[];
  /** Takes a request out of the queue, or has a running one drop its outputs: it fails with ERR_CLOSED. False if there is none. */
  cancel(id: number): boolean;
  /** The most requests that may wait for each device; Infinity for no limit. */
  setQueueLimit(limit: number): void;
}
