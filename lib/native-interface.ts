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

export type LayerKind =
  'token-learner' | 'linear' | 'conv2d' | 'max-pool2d' | 'layer-norm' | 'flatten' | 'gelu' | 'relu';

/** How one forward is to run. */
export interface ForwardArg {
  returnAttention: boolean;
  tokensFirst: boolean;
}

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

export interface NativeBinding {
  /** How the addon was built. */
  readonly build: { version: string; cuda: boolean; cudaArchitectures: string; torchTarget: string };

  /** Whether {@link buffer} gives ArrayBuffers over native memory; where the runtime forbids them (Electron) it copies. */
  readonly sharesBuffers: boolean;

  /** The addon makes every error it throws or rejects with by calling `create`. */
  setErrorFactory(create: (code: ErrorCode, message: string) => Error): void;

  /**
   * 64-byte aligned host memory. `zeroed` false leaves it uninitialised; `pinned` asks for page-locked memory, which there is
   * where CUDA can be used (needs loadLibtorch).
   */
  allocate(byteLength: number, zeroed: boolean, pinned: boolean): StorageHandle;
  /** An ArrayBuffer over the storage's host memory, without a copy, the same one while it lives; it holds a count of its own. */
  buffer(storage: StorageHandle): ArrayBuffer;
  /** Gives up this handle's count and detaches its ArrayBuffer. Idempotent. */
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
  /** Whether CUDA can be used, and why not. Needs loadLibtorch. */
  cuda(): CudaReport;

  /** A contiguous copy with another dtype and/or on another device. */
  copy(source: TensorArg, dtype: DTypeCode, device: DeviceCode): NativeTensor;

  /** `params` are in the layer's own documented order and are copied. */
  createLayer(
    kind: LayerKind,
    config: Record<string, number | boolean | string>,
    params: readonly TensorArg[],
    dtype: DTypeCode,
    device: DeviceCode,
  ): LayerHandle;
  /** A layer that runs others in order as one request. */
  createSequence(layers: readonly LayerHandle[]): LayerHandle;
  /** Replaces all parameters at once; runs under way keep the old ones. */
  setParameters(layer: LayerHandle, params: readonly TensorArg[]): void;
  /** Copies of the parameters, on the CPU, in the layer's dtype. */
  parameters(layer: LayerHandle): NativeTensor[];
  moveLayer(layer: LayerHandle, dtype: DTypeCode, device: DeviceCode): void;
  disposeLayer(layer: LayerHandle): void;

  /** Runs on the device's executor thread. Resolves to [output] or [tokens, attention]. */
  forward(layer: LayerHandle, input: TensorArg, how: ForwardArg): Promise<NativeTensor[]>;
  /** Runs on this thread. */
  forwardSync(layer: LayerHandle, input: TensorArg, how: ForwardArg): NativeTensor[];
}
