/**
 * TokenLearner for Node.js: native, on libtorch, with PyTorch's numbers, on CPUs and NVIDIA GPUs.
 *
 * @packageDocumentation
 */
import './bundled';
export type { Device, DeviceOption } from './device';
export type {
  DefaultDType,
  DType,
  Float16Elements,
  FloatDType,
  SumDType,
  TypedArray,
  TypedArrayFor,
  TypedArrays,
} from './dtype';
export type { AotiConstant } from './aoti/description';
export {
  type AotiInputValue,
  AotiModel,
  type AotiOutputValue,
  type AotiRunOptions,
  type AotiSyncOptions,
} from './aoti/model';
export type { AotiLoadOptions } from './aoti/load';
export type { AotiDType, AotiDimension, AotiInput, AotiOutput } from './aoti/types';
export type { AotiDimensionOption, AotiInputOption } from './aoti/signature';
export { type ErrorCode, TokenLearnerError } from './errors';
export {
  loadCheckpoint,
  loadFlaxMsgpack,
  loadNpy,
  loadNpz,
  loadSafetensors,
  loadWeights,
  saveNpy,
  saveNpz,
  saveSafetensors,
} from './files';
export type {
  BlobLike,
  FileInput,
  FilePath,
  LoadOptions,
  LoadWeightsOptions,
  SaveNpzOptions,
  SaveSafetensorsOptions,
  UrlLike,
} from './files';
export type { CheckpointOptions } from './formats/checkpoint';
export { GELU, type GELUOptions, ReLU } from './modules/activation';
export { Conv2d, type Conv2dOptions } from './modules/conv2d';
export { Flatten } from './modules/flatten';
export type { InputLayout, Layout } from './modules/image-order';
export { LayerNorm, type LayerNormOptions } from './modules/layer-norm';
export { LeafModule, type PlacementOptions, UnaryLeaf } from './modules/leaf';
export { Linear, type LinearOptions } from './modules/linear';
export { MaxPool2d, type MaxPool2dOptions } from './modules/max-pool2d';
export { Module } from './modules/module';
export { ModuleList } from './modules/module-list';
export { learnerFromStateDict, type LearnerStateDictOptions } from './modules/learner-from-state-dict';
export type { Pair } from './modules/pair';
export type { AbortSignalLike, RequestOptions } from './modules/request';
export { Sequential } from './modules/sequential';
export type { LoadStateDictOptions, LoadStateDictResult, StateDict } from './modules/state-dict';
export {
  type OutputAndAttention,
  TokenFuser,
  type TokenFuserEngine,
  type TokenFuserForwardOptions,
  type TokenFuserOptions,
  type TokenFuserStateDictOptions,
  type TokenFuserSyncOptions,
} from './modules/token-fuser';
export { type Engine, TokenLearner, type TokenLearnerOptions } from './modules/token-learner';
export {
  TokenLearnerV10,
  type TokenLearnerV10Engine,
  type TokenLearnerV10Options,
  type TokenLearnerV10StateDictOptions,
} from './modules/token-learner-v10';
export {
  type TokenLearnerV11Engine,
  TokenLearnerV11,
  type TokenLearnerV11ForwardOptions,
  type TokenLearnerV11Options,
  type TokenLearnerV11StateDictOptions,
  type TokenLearnerV11SyncOptions,
  type TokenLearnerV11Variant,
} from './modules/token-learner-v11';
export {
  TokenPooling,
  type TokenLearnerForwardOptions,
  type TokenLearnerSyncOptions,
  type TokensAndAttention,
} from './modules/token-pooling';
export { openShared } from './open-shared';
export { manualSeed } from './random';
export {
  runtime,
  type RuntimeInfo,
  type RuntimeMemory,
  type RuntimeOptions,
  type RuntimeProblem,
} from './runtime';
export { Batcher } from './serving/batcher';
export type { BatcherCloseOptions, BatcherForwardOptions, BatcherOptions } from './serving/options';
export type { BatcherStats, Histogram } from './serving/stats';
export type { CpuIsa, ThreadsReason } from './native-interface';
export type { Shape } from './shape';
export { Shared, type SharedKind, type SharedToken } from './shared';
export { type AllCloseOptions, assertAllClose } from './tensor/compare';
export type { ItemFor } from './tensor/elements';
export type { FromImageOptions } from './tensor/image';
export type { ImageSize } from './tensor/image-geometry';
export type { ImageInput, RawImage, SharpImage } from './tensor/image-input';
export { type ImageLayout, type NormalizeOptions, presets } from './tensor/image-normalization';
export type { PixelImage, ToImageOptions } from './tensor/image-output';
export type { JsonElement, Nested, TensorJSON } from './tensor/numbers';
export type { TopK } from './tensor/reduce';
export { type AnyTensor, Tensor, type TensorOptions } from './tensor/tensor';
export type { NoOptions } from './validate';
export {
  type AttentionModel,
  type BackboneModel,
  type Colormap,
  type PictureSource,
  visualize,
  type VisualizeFormat,
  type Visualization,
  type VisualizeOptions,
} from './visualize';
