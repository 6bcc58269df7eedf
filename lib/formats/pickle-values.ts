import type { DType } from '../dtype';

/** The element type of a storage: one of ours, or the name of another that PyTorch has. */
export interface StorageType {
  kind: 'storage-type';
  /** Undefined for a type that cannot be loaded. */
  dtype: DType | undefined;
  name: string;
}

/** A storage that the archive keeps as a record of its own. `size` is in elements. */
export interface PickledStorage {
  kind: 'storage';
  key: string;
  type: StorageType;
  size: number;
}

/** A strided tensor over a storage; nothing is validated against the storage yet. Offsets and strides are in elements. */
export interface PickledTensor {
  kind: 'tensor';
  storage: PickledStorage;
  offset: number;
  shape: number[];
  strides: number[];
}

/** The callables that a pickle may name. None of them runs code from the file. */
export interface Constructor {
  kind: 'constructor';
  name:
    | 'collections.OrderedDict'
    | 'torch.Size'
    | 'torch._utils._rebuild_tensor_v2'
    | 'torch._utils._rebuild_parameter';
}

/** A dict or an OrderedDict. */
export type PickledDict = Map<PickleValue, PickleValue>;

/** All that a pickle can become here. Tuples and lists are both arrays. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | PickledDict
  | PickledTensor
  | PickledStorage
  | StorageType
  | Constructor;

/** What a value is, in Python's words, for messages. */
export function pythonType(value: PickleValue): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return 'a bool';
  if (typeof value === 'string') return 'a str';
  if (typeof value === 'number' || typeof value === 'bigint') return 'a number';
  if (Array.isArray(value)) return 'a list or tuple';
  if (value instanceof Map) return 'a dict';
  if (value instanceof Uint8Array) return 'bytes';
  return value.kind === 'tensor' ? 'a tensor' : `a ${value.kind}`;
}

/** Whether the value is a tensor of the pickle. */
export function isTensor(value: PickleValue | undefined): value is PickledTensor {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'tensor';
}
