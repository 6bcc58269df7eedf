/**
 * Loads and saves tensors. The formats themselves are in formats/, which does not depend on Tensor.
 */
export {
  loadCheckpoint,
  loadNpy,
  loadSafetensors,
  loadWeights,
  type LoadOptions,
  type LoadWeightsOptions,
} from './files/load';
export { saveNpy, saveSafetensors, type SaveSafetensorsOptions } from './files/save';
export type { BlobLike } from './formats/byte-source';
export type { FileInput, FilePath, UrlLike } from './formats/input';
