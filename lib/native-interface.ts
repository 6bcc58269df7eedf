/**
 * The exports of the native addon: the contract between lib/ and native/boundary/.
 *
 * lib/ validates all arguments of these functions. The boundary checks handles and sizes again, so that a mistake in lib/ is an
 * error and never a crash.
 */
import type { ErrorCode } from './errors';

declare const storageBrand: unique symbol;
declare const layerBrand: unique symbol;
declare const batcherBrand: unique symbol;

/** What JavaScript holds of a native value. Hot calls pass its number, which native code reads faster. */
interface Handle {
  readonly id: number;
}

/** Native memory with a reference count. It is freed once it is disposed or collected and no run uses it. */
export interface StorageHandle extends Handle {
  readonly [storageBrand]: true;
}

/** A native layer: an immutable configuration, and parameters that are replaced atomically. */
export interface LayerHandle extends Handle {
  readonly [layerBrand]: true;
}

/** A queue that joins the requests of many callers. Requests that were accepted are settled even if it is collected. */
export interface BatcherHandle extends Handle {
  readonly [batcherBrand]: true;
}

/** The code of a {@link DType} on the boundary: libtorch's ScalarType. */
export type DTypeCode = number;

/** -1 is the CPU; 0 and above is the index of a CUDA device. */
export type DeviceCode = number;

/** A dtype's code in the low byte, and a device's code plus 1 above it. One number, since every forward asks for it. */
export type PlacementCode = number;

/** A tensor as an argument of native code. Strides and offset are in elements, not bytes. */
export interface TensorArg {
  /** Native memory, or JavaScript's memory. For the latter, element 0 is the first element of the ArrayBufferView. */
  storage: StorageHandle | ArrayBufferView;
  dtype: DTypeCode;
  shape: readonly number[];
  strides: readonly number[];
  offset: number;
}

/** The inputs of a forward, flat: of each its storage (or a handle's number), dtype, offset, rank, shape and strides. */
export type FlatTensors = readonly (ArrayBufferView | number)[];

/** A tensor that native code created, with frozen arrays. It is the handle of its storage. */
export interface NativeTensor extends StorageHandle {
  dtype: DTypeCode;
  device: DeviceCode;
  shape: readonly number[];
  strides: readonly number[];
  offset: number;
}

/** Makes a NativeTensor. `sizes` are the shape, then the strides. */
export type TensorConstructor = (
  id: number,
  dtype: DTypeCode,
  device: DeviceCode,
  offset: number,
  ...sizes: number[]
) => NativeTensor;

/** A layer's configuration by name. The layer's file in native/engine/layers reads it. */
export type LayerConfig = Readonly<Record<string, number | boolean | string | readonly number[]>>;

/** The options that a layer takes for one call. */
export type CallOptions = Readonly<Record<string, number | boolean | string>>;

/** The tensor that pictures become. */
export type ImageFormat = Readonly<{
  dtype: DTypeCode;
  channelsLast: boolean;
  /** The filter of the resize; false is bilinear. */
  bicubic: boolean;
  height: number;
  width: number;
}>;

export interface CudaReport {
  available: boolean;
  /** A code for programs; null if CUDA is available. */
  reason: string | null;
  /** The same reason, for people. */
  detail: string | null;
  devices: { index: number; name: string; totalMemory: number; computeCapability: string }[];
  /** The index of the device that 'auto' means: the first one that could be started. */
  defaultDevice: number;
}

/** The fused engine on one device. */
export interface FusedReport {
  /** The reason why it cannot run there, for people; null if it can. */
  reason: string | null;
  /** The kernels that this process does not use there, and why, oldest first. */
  refusedKernels: { kernel: string; reason: string }[];
}

/** The limit that decides the number of threads. */
export type ThreadsReason = 'cores' | 'affinity' | 'cgroup' | 'job' | 'OMP_NUM_THREADS' | 'setThreads';

/** An instruction set of the fused CPU engine. 'baseline' is SSE2 on x64; arm64 has 'neon' alone. */
export type CpuIsa = 'baseline' | 'neon' | 'avx2' | 'avx512';

/** Limits of a batcher. What is missing is unlimited. */
export type BatchLimits = Readonly<{
  images?: number;
  pixels?: number;
  requests?: number;
  bytes?: number;
  levels: number;
  /** In milliseconds. */
  delay: number;
}>;

export interface NativeHistogram {
  bounds: number[];
  counts: number[];
  sum: number;
  count: number;
}

/** Counters of a batcher. Times are sums in milliseconds. */
export interface BatcherState {
  queued: number;
  queuedBytes: number;
  running: number;
  requests: number;
  succeeded: number;
  failed: number;
  cancelled: number;
  timedOut: number;
  rejected: number;
  images: number;
  batches: number;
  requestMs: number;
  inputMs: number;
  queueMs: number;
  computeMs: number;
  outputMs: number;
  batchImages: NativeHistogram;
  batchRequests: NativeHistogram;
  queueTimes: NativeHistogram;
  computeTimes: NativeHistogram;
  devices: { device: DeviceCode; running: number; batches: number; images: number; lost: boolean }[];
}

/** A constant of a compiled program. `dtype` may be one that this package does not have. */
export interface NativeConstant {
  name: string;
  originalName: string;
  type: 'parameter' | 'buffer' | 'constant' | 'folded' | 'unknown';
  dtype: number;
  /** True if it is one of `parameters`. */
  isParameter: boolean;
  /** null if the package does not tell it. */
  shape: number[] | null;
}

/** A compiled program: its trees as PyTorch's JSON, the number of outputs, and its constants. */
export interface NativeProgram {
  inSpec: string;
  outSpec: string;
  outputs: number;
  /** True if `setParameters` works. */
  canUpdate: boolean;
  constants: NativeConstant[];
}

export interface NativeBinding {
  /** The addon's version and build settings. */
  readonly build: { version: string; cuda: boolean; cudaArchitectures: string; torchTarget: string };

  /**
   * Sets the functions that make all errors that the addon throws or rejects with, and all tensors that it returns. `lends` is
   * true if JavaScript may see native memory itself. Pass true on the main thread only, since a worker's buffers can outlive
   * the worker.
   */
  configure(
    createError: (code: ErrorCode, message: string) => Error,
    createTensor: TensorConstructor,
    createList: (...items: NativeTensor[]) => NativeTensor[],
    lends: boolean,
  ): void;

  /**
   * Allocates host memory. Native memory is 64-byte aligned. If `zeroed` is false, the memory may be uninitialised. `pinned`
   * asks for page-locked memory; without a usable GPU the memory is ordinary. Where there is a driver it needs loadLibtorch.
   */
  allocate(byteLength: number, zeroed: boolean, pinned: boolean): StorageHandle;
  /**
   * Shows the storage's host memory to JavaScript, once. If `lent` is true, the ArrayBuffer stands on the storage's own memory
   * and holds its own count, and the handle stays valid. If it is false, V8 owns the memory, the handle is disposed, and the
   * ArrayBuffer replaces the storage. Throws ERR_DETACHED if the memory is already lent.
   */
  share(storage: StorageHandle): [buffer: ArrayBuffer, lent: boolean];
  /** Releases this handle's count. Idempotent. A buffer from {@link share} stays valid. */
  disposeStorage(storage: StorageHandle | number): void;
  /** Detaches an ArrayBuffer, which frees its memory. False if it cannot be detached. The main thread only. */
  detach(buffer: ArrayBuffer): boolean;
  /** Counts the live native storages, their bytes, and the live layers of this environment, and the process's shared values. */
  counters(): { liveTensors: number; liveBytes: number; liveLayers: number; liveShares: number };

  /** Seeds this environment's generator, which gives the numbers of at::mt19937. */
  manualSeed(seed: bigint): void;
  /** `torch.Tensor.uniform_` on a contiguous float32 or float64 CPU tensor. */
  uniform(target: TensorArg, from: number, to: number): void;
  /** `torch.Tensor.normal_(0, 1)` on such a tensor, for a tensor of `dtype`: PyTorch draws fewer numbers for one of 16 bits. */
  normal(target: TensorArg, dtype: DTypeCode): void;
  /**
   * Normal numbers, or uniform ones from [0, 1), in a floating dtype, drawn on an executor's thread. Resolves to one tensor. The
   * numbers are those of a draw at the time of the call.
   */
  randomAsync(
    normal: boolean,
    shape: readonly number[],
    dtype: DTypeCode,
    device: DeviceCode,
    pinned: boolean,
  ): Promise<[NativeTensor]>;

  /** Loads libtorch from its lib folder, an absolute path. A process loads one libtorch; the same folder again is a no-op. */
  loadLibtorch(libDir: string): void;
  /** Describes the loaded libtorch; null before loadLibtorch. */
  libtorch(): { libDir: string; version: string; cudaBuild: boolean; threads: number } | null;
  /** The lib folder of the libtorch in this process, even if other code loaded it; null if there is none. */
  mappedLibtorch(): string | null;
  /**
   * The fused CPU engine: its threads, the limit that decides them, the usable instruction sets, slowest first, and the one that it
   * uses.
   */
  cpu(): { threads: number; threadsReason: ThreadsReason; isas: string[]; isa: CpuIsa };
  /** Sets the most threads that compute at once in this process, in the fused CPU engine and in libtorch. At least 1. */
  setThreads(threads: number): void;
  /** True if the NVIDIA driver's library can be opened. Loads no libtorch. */
  cudaDriver(): boolean;
  /** Says if CUDA is usable and, if not, why. Needs loadLibtorch if there is a driver. */
  cuda(): CudaReport;
  /** Says if the fused engine runs on a usable device, and which of its kernels it does not use. */
  fused(device: DeviceCode): FusedReport;

  /** Copies a contiguous CPU tensor's bytes into a typed array of the same byte length. */
  read(source: TensorArg, target: ArrayBufferView): void;
  /** Copies a typed array's bytes into a contiguous CPU tensor of the same byte length. */
  write(target: TensorArg, source: ArrayBufferView): void;
  /** Fills a contiguous CPU tensor with the only element of a typed array. */
  fill(target: TensorArg, element: ArrayBufferView): void;

  /** Returns a contiguous copy with this dtype on this device. Needs loadLibtorch if one of the devices is not the CPU. */
  copy(source: TensorArg, dtype: DTypeCode, device: DeviceCode): NativeTensor;
  /** The same on an executor's thread. Resolves to one tensor. Copies JavaScript's memory during the call. */
  copyAsync(source: TensorArg, dtype: DTypeCode, device: DeviceCode): Promise<[NativeTensor]>;

  /** Creates a layer. native/engine/layers/layers.hpp lists the kinds. All need loadLibtorch, except
   * Flatten and a fused TokenLearner on the CPU. Copies `params`, in the order that the layer documents. */
  createLayer(
    kind: string,
    config: LayerConfig,
    params: readonly TensorArg[],
    dtype: DTypeCode,
    device: DeviceCode,
  ): LayerHandle;
  /**
   * Creates a layer that runs other layers as one request, as a graph. Slots 0 to `inputs` - 1 are its inputs. Layer i reads
   * the slots `nodes[i]` and fills slot `inputs` + i. `outputs` are the slots that the container returns.
   */
  createContainer(
    layers: readonly LayerHandle[],
    inputs: number,
    nodes: readonly (readonly number[])[],
    outputs: readonly number[],
  ): LayerHandle;
  /** Replaces all parameters of all layers, or none if it throws. Forwards that were called before keep the old ones. */
  setParameters(layers: readonly LayerHandle[], params: readonly (readonly TensorArg[])[]): void;
  /** Returns copies of the parameters, on the CPU, in the layer's dtype. */
  parameters(layer: LayerHandle): NativeTensor[];
  /** The same of at least one layer, one after the other, on the thread of the first layer's executor, as the parameters are at the call. */
  parametersAsync(layers: readonly LayerHandle[]): Promise<NativeTensor[]>;
  /** The placement of a layer; for a container, of its first layer with parameters. */
  placement(layer: LayerHandle): PlacementCode;
  /** Moves all layers, each to its own placement, or none if it throws. */
  moveLayers(
    layers: readonly LayerHandle[],
    dtypes: readonly DTypeCode[],
    devices: readonly DeviceCode[],
  ): void;
  disposeLayer(layer: LayerHandle): void;
  /** Offers the current operators of layers to all environments of the process. Returns a random id. */
  shareLayers(description: string, layers: readonly LayerHandle[]): string;
  /** Creates layers over the operators of {@link shareLayers}, whose parameters cannot change. Throws ERR_SHARED_NOT_FOUND. */
  openLayers(id: string): [description: string, layers: LayerHandle[]];
  /** Gives each target the operator of the source at its position. All are of {@link openLayers}. */
  adoptLayers(targets: readonly LayerHandle[], sources: readonly LayerHandle[]): void;
  /**
   * Offers a tensor to all environments. If `once`, the first that opens it takes it, and the caller disposes the tensor;
   * `alone` then says that no other tensor has its storage. Returns a random id.
   */
  shareTensor(tensor: TensorArg, once: boolean, alone: boolean): string;
  /** Creates a tensor over the memory of {@link shareTensor}. Throws ERR_SHARED_NOT_FOUND. */
  openTensor(id: string): NativeTensor;
  /** Ends the offer. What was opened stays. False if there is none. */
  unshare(id: string): boolean;

  /**
   * Runs on the device's executor thread. Resolves to the layer's outputs. `id` is for {@link cancel}; 0 means that nobody will
   * cancel. A request that has not started after `timeoutMs` fails with ERR_TIMEOUT.
   */
  forward(
    layer: LayerHandle | number,
    how: CallOptions | undefined,
    id: number,
    timeoutMs: number | undefined,
    ...inputs: FlatTensors
  ): Promise<NativeTensor[]>;
  /** Runs on the calling thread. */
  forwardSync(
    layer: LayerHandle | number,
    how: CallOptions | undefined,
    ...inputs: FlatTensors
  ): NativeTensor[];
  /** A new id for {@link forward}, from 1. Several copies of the package may share this environment, so they do not count themselves. */
  nextRequestId(): number;
  /** Removes a waiting request, or drops a running one's outputs; it fails with ERR_CLOSED. False if there is no such request. */
  cancel(id: number): boolean;
  /** Sets the most requests that may wait for each device, and the most bytes of their inputs; Infinity means no limit. */
  setQueueLimits(requests: number, bytes: number): void;

  /** Creates a batcher. With `devices` it keeps a copy of each layer's operator on each of them; `layer` must run there. */
  createBatcher(limits: BatchLimits, devices: readonly DeviceCode[], layer: number): BatcherHandle;
  /**
   * Runs a layer on one input, with other requests of the batcher. Resolves to the layer's outputs. `id` is unique among the
   * batcher's unfinished requests. A request that is not finished after `timeoutMs` fails with ERR_TIMEOUT. With `alone` a
   * small one may run during the call.
   */
  batchForward(
    batcher: BatcherHandle | number,
    layer: LayerHandle | number,
    how: CallOptions | undefined,
    id: number,
    priority: number,
    timeoutMs: number | undefined,
    alone: boolean,
    ...input: FlatTensors
  ): Promise<NativeTensor[]>;
  /** Removes a waiting request, or drops a running one's outputs; it fails with ERR_CLOSED. False if there is no such request. */
  cancelBatched(batcher: BatcherHandle, id: number): boolean;
  /** Takes no further requests. Those that wait run without delay, or fail with ERR_CLOSED. */
  closeBatcher(batcher: BatcherHandle, drain: boolean): void;
  batcherState(batcher: BatcherHandle): BatcherState;
  /** For tests: no batch begins until that many requests wait. Then the hold ends. */
  holdBatcher(batcher: BatcherHandle, requests: number): void;

  /** The descriptor of a new file in memory whose content may be run. Throws ERR_FILE_IO except on Linux. */
  memoryFile(name: string): number;
  /** Those of the functions that the loaded libtorch does not export. */
  missingTorchSymbols(names: readonly string[]): string[];
  /**
   * Opens the program of a layer of kind 'aoti' on an executor's thread, which runs its library's code. `names` and `weights` are for a
   * package whose library has no weights.
   */
  openProgram(
    layer: LayerHandle,
    names: readonly string[],
    weights: readonly TensorArg[],
  ): Promise<NativeTensor[]>;
  /** Describes an open program. */
  describeProgram(layer: LayerHandle): NativeProgram;
  /** A function that tells which outputs are None, by position, once a run has ended. It outlives `disposeLayer`. */
  noneOutputs(layer: LayerHandle): () => number[];

  /**
   * Converts pictures, uint8 tensors of shape (height, width, channels), on the CPU's executor thread. Resolves to one tensor.
   * Each of `geometries` is [resized height, resized width, top, left]. `normalization` has the mean of each colour, then the
   * standard deviation of each; empty means no normalisation. Needs no libtorch.
   */
  imagesToTensor(
    pictures: readonly TensorArg[],
    geometries: readonly (readonly number[])[],
    normalization: Float32Array,
    format: ImageFormat,
  ): Promise<NativeTensor[]>;
  /** Converts pictures on the calling thread. */
  imagesToTensorSync(
    pictures: readonly TensorArg[],
    geometries: readonly (readonly number[])[],
    normalization: Float32Array,
    format: ImageFormat,
  ): NativeTensor[];
  /** Writes the bytes of a (colours, height, width) CPU tensor as (height, width, colours). Throws ERR_OUT_OF_RANGE for NaN. */
  tensorToImage(source: TensorArg, normalization: Float32Array, target: Uint8ClampedArray): void;
}
