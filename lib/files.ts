/**
 * Loads and saves tensors. The formats themselves are in formats/, which does not depend on Tensor. Their code is most of this
 * package's JavaScript, so it is read at the first use.
 */
import type { CheckpointOptions } from './formats/checkpoint';
import type { FileInput, FilePath } from './formats/input';
import type { StateDict } from './modules/state-dict';
import { once } from './once';
import type { AnyTensor } from './tensor/tensor';
import type { NoOptions } from './validate';

export type { BlobLike } from './formats/byte-source';
export type { FileInput, FilePath, UrlLike } from './formats/input';

/* eslint-disable @typescript-eslint/no-require-imports -- read at the first use */
const load = once(() => require('./files/load') as typeof import('./files/load'));
const save = once(() => require('./files/save') as typeof import('./files/save'));
/* eslint-enable @typescript-eslint/no-require-imports */

/** Which tensors to load. */
export interface LoadOptions {
  /**
   * Returns true for the names of the tensors to load. The others are not read from the file and may have any dtype.
   *
   * @default loads all tensors
   */
  filter?: ((name: string) => boolean) | undefined;
}

/** Selects the tensors to load from a file of weights. */
export interface LoadWeightsOptions extends LoadOptions {
  /** The entry of a PyTorch checkpoint that holds the state dict, if the checkpoint holds more. */
  key?: string | undefined;
}

/** How to save a NumPy archive. */
export interface SaveNpzOptions {
  /** Deflates arrays, as `numpy.savez_compressed` does. @default false */
  compressed?: boolean | undefined;
}

/** How to save safetensors. */
export interface SaveSafetensorsOptions {
  /** Strings by name, for `__metadata__`. */
  metadata?: Record<string, string> | undefined;
}

/**
 * Loads weights from safetensors, a PyTorch checkpoint (.pt, .pth, .bin, .ckpt, ...), a NumPy archive (.npz), a flax state (.msgpack), or the index of a
 * sharded checkpoint (`model.safetensors.index.json`), whose files lie beside it. The content decides, not the name. Code in a file never runs.
 *
 * @param from - a path, a file URL, a Uint8Array, an ArrayBuffer, a Blob, or an AsyncIterable of Uint8Arrays.
 * @param options - `key`: the entry of a PyTorch checkpoint that holds the state dict; `filter`: which tensors to load, by name.
 * @returns tensors by name, in native memory unless the format is a checkpoint's.
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE; ERR_INVALID_ARG_VALUE (an unknown option, a `key` for another format than a checkpoint); ERR_FILE_IO
 * if the file cannot be read, with the system's error as `cause`; ERR_FILE_FORMAT if its content is malformed or of another
 * format (the message names it and the next step); ERR_UNSAFE_PICKLE; ERR_DETACHED if the input's memory is transferred
 * meanwhile; ERR_OUT_OF_MEMORY.
 *
 * @example
 * ```ts
 * import { loadWeights, saveSafetensors, TokenLearner } from 'tokenlearner';
 *
 * const model = new TokenLearner({ dim: 64 });
 * await saveSafetensors('model.safetensors', model.stateDict());
 * model.loadStateDict(await loadWeights('model.safetensors'));
 * ```
 */
export async function loadWeights(from: FileInput, options?: LoadWeightsOptions): Promise<StateDict> {
  return load().loadWeights(from, options);
}

/**
 * Loads a safetensors file, or all files of a JSON index. Each tensor is read directly into its own native memory.
 *
 * @param from - a path, a file URL, a Uint8Array, an ArrayBuffer, a Blob, or an AsyncIterable of Uint8Arrays.
 * @param options - `filter`: which tensors to load, by name.
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE; ERR_FILE_IO; ERR_FILE_FORMAT (also if a tensor that the
 * filter accepts has an unsupported dtype); ERR_DETACHED; ERR_OUT_OF_MEMORY.
 *
 * @example
 * ```ts
 * import { loadSafetensors, saveSafetensors, Tensor } from 'tokenlearner';
 *
 * await saveSafetensors('pair.safetensors', { a: Tensor.ones([2]), b: Tensor.zeros([3]) });
 * const tensors = await loadSafetensors('pair.safetensors', { filter: (name) => name === 'a' });
 * console.log(Object.keys(tensors)); // [ 'a' ]
 * ```
 */
export async function loadSafetensors(from: FileInput, options?: LoadOptions): Promise<StateDict> {
  return load().loadSafetensors(from, options);
}

/**
 * Loads the state dict of a PyTorch checkpoint (.pt, .pth) through an unpickler that builds only tensors and plain containers.
 * Code in the file never runs.
 *
 * @param from - a path, a file URL, a Uint8Array, an ArrayBuffer, a Blob, or an AsyncIterable of Uint8Arrays.
 * @param options - `key`: the entry that holds the state dict, if the checkpoint holds more; `filter`: which tensors to load, by
 * name.
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE; ERR_UNSAFE_PICKLE; ERR_FILE_IO; ERR_FILE_FORMAT;
 * ERR_DETACHED; ERR_OUT_OF_MEMORY.
 *
 * @example
 * ```ts
 * import { loadCheckpoint } from 'tokenlearner';
 *
 * async function weightsOf(path: string) {
 *   return loadCheckpoint(path, { key: 'state_dict' }); // torch.save({'state_dict': model.state_dict(), ...}, path)
 * }
 * ```
 */
export async function loadCheckpoint(from: FileInput, options?: CheckpointOptions): Promise<StateDict> {
  return load().loadCheckpoint(from, options);
}

/**
 * Loads a NumPy archive (.npz: numpy.savez, numpy.savez_compressed, jax.numpy.savez), each array into its own native memory. Names are NumPy's, without
 * `.npy`.
 *
 * @param from - a path, a file URL, a Uint8Array, an ArrayBuffer, a Blob, or an AsyncIterable of Uint8Arrays.
 * @param options - `filter`: which arrays to load, by name.
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE; ERR_FILE_IO; ERR_FILE_FORMAT (also if an array that the
 * filter accepts has an unsupported dtype, and if the archive expands too far for its size); ERR_DETACHED; ERR_OUT_OF_MEMORY.
 *
 * @example
 * ```ts
 * import { loadNpz, saveNpz, Tensor } from 'tokenlearner';
 *
 * await saveNpz('arrays.npz', { a: Tensor.ones([2]), b: Tensor.zeros([3]) });
 * console.log(Object.keys(await loadNpz('arrays.npz'))); // [ 'a', 'b' ]
 * ```
 */
export async function loadNpz(from: FileInput, options?: LoadOptions): Promise<StateDict> {
  return load().loadNpz(from, options);
}

/**
 * Loads a flax state (`flax.serialization.to_bytes`, `msgpack_serialize`), each array directly into its own native memory. The keys of nested
 * dicts are joined by slashes: 'params/LayerNorm_0/scale'. Python's own values (numbers, strings, None) are left out.
 *
 * @param from - a path, a file URL, a Uint8Array, an ArrayBuffer, a Blob, or an AsyncIterable of Uint8Arrays.
 * @param options - `filter`: which arrays to load, by name.
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE; ERR_FILE_IO; ERR_FILE_FORMAT (also if an array that the
 * filter accepts has an unsupported dtype); ERR_DETACHED; ERR_OUT_OF_MEMORY.
 *
 * @example
 * ```ts
 * import { loadFlaxMsgpack } from 'tokenlearner';
 *
 * async function parametersOf(path: string) {
 *   return loadFlaxMsgpack(path, { filter: (name) => name.startsWith('params/') }); // flax.serialization.to_bytes(variables)
 * }
 * ```
 */
export async function loadFlaxMsgpack(from: FileInput, options?: LoadOptions): Promise<StateDict> {
  return load().loadFlaxMsgpack(from, options);
}

/**
 * Loads a NumPy array file into native memory.
 *
 * @param from - a path, a file URL, a Uint8Array, an ArrayBuffer, a Blob, or an AsyncIterable of Uint8Arrays.
 * @param options - there are none.
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE; ERR_FILE_IO; ERR_FILE_FORMAT (also for unsupported
 * dtypes); ERR_DETACHED; ERR_OUT_OF_MEMORY.
 *
 * @example
 * ```ts
 * import { loadNpy, saveNpy, Tensor } from 'tokenlearner';
 *
 * await saveNpy('x.npy', Tensor.ones([2, 3]));
 * const x = await loadNpy('x.npy');
 * console.log(x.shape, x.dtype); // [ 2, 3 ] float32
 * ```
 */
export async function loadNpy(from: FileInput, options?: NoOptions): Promise<AnyTensor> {
  return load().loadNpy(from, options);
}

/**
 * Saves tensors (on any device) as a safetensors file, byte for byte as Python's library does. The file is replaced after
 * everything is written; on any error the old file stays. If the system cannot replace it, it is overwritten: see docs/files.md.
 *
 * Copies up to 32 MiB at the call (docs/files.md says how tensors count). Do not write to or transfer the memory of other tensors
 * before the promise is settled. They may be disposed.
 *
 * @param path - a path or a file URL; a symbolic link is followed.
 * @param tensors - tensors by name.
 * @param options - `metadata`: strings by name.
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE; ERR_DISPOSED; ERR_DETACHED if memory
 * was transferred before it was written; ERR_FILE_IO if the file cannot be written, with the system's error as `cause`.
 *
 * @example
 * ```ts
 * import { saveSafetensors, TokenLearner } from 'tokenlearner';
 *
 * const model = new TokenLearner({ dim: 64 });
 * await saveSafetensors('model.safetensors', model.stateDict(), { metadata: { epoch: '12' } });
 * ```
 */
export async function saveSafetensors(
  path: FilePath,
  tensors: StateDict | ReadonlyMap<string, AnyTensor>,
  options?: SaveSafetensorsOptions,
): Promise<void> {
  return save().saveSafetensors(path, tensors, options);
}

/**
 * Saves tensors (on any device) as a NumPy archive (.npz), in the same way as {@link saveSafetensors}: byte for byte as `numpy.savez` does, also over
 * 4 GiB. Each tensor is read twice, for its checksum first. With `compressed` the compressed arrays are kept in memory until they are written; arrays that
 * {@link loadNpz} would refuse to inflate are stored as they are. NumPy has no bfloat16: ERR_DTYPE_MISMATCH.
 *
 * @param path - a path or a file URL; a symbolic link is followed.
 * @param tensors - tensors by name, of any dtype except bfloat16.
 * @param options - `compressed`: deflate the arrays.
 * @throws TokenLearnerError as {@link saveSafetensors}, and ERR_DTYPE_MISMATCH.
 *
 * @example
 * ```ts
 * import { saveNpz, Tensor } from 'tokenlearner';
 *
 * await saveNpz('small.npz', { a: Tensor.zeros([1000]) }, { compressed: true });
 * ```
 */
export async function saveNpz(
  path: FilePath,
  tensors: StateDict | ReadonlyMap<string, AnyTensor>,
  options?: SaveNpzOptions,
): Promise<void> {
  return save().saveNpz(path, tensors, options);
}

/**
 * Saves a tensor (on any device) as a NumPy array file, in the same way as {@link saveSafetensors}. NumPy has no bfloat16:
 * ERR_DTYPE_MISMATCH.
 *
 * @param path - a path or a file URL; a symbolic link is followed.
 * @param tensor - a tensor of any dtype except bfloat16.
 * @param options - there are none.
 * @throws TokenLearnerError as {@link saveSafetensors}, and ERR_DTYPE_MISMATCH.
 *
 * @example
 * ```ts
 * import { saveNpy, Tensor } from 'tokenlearner';
 *
 * await saveNpy('tokens.npy', Tensor.ones([1, 64, 8])); // numpy.load('tokens.npy')
 * ```
 */
export async function saveNpy(path: FilePath, tensor: AnyTensor, options?: NoOptions): Promise<void> {
  return save().saveNpy(path, tensor, options);
}
