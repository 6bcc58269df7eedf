/** The element type of a storage, by PyTorch's name ('float32', 'complex64', ...). */
export interface StorageType {
  kind: 'storage-type';
  /** Undefined for untyped storages, whose size is in bytes. */
  dtype: string | undefined;
}

/** A dtype as a value, by PyTorch's name. */
export interface PickledDType {
  kind: 'dtype';
  name: string;
}

/** A storage, which is a record of the archive. `size` is in elements of its type. */
export interface PickledStorage {
  kind: 'storage';
  key: string;
  type: StorageType;
  size: number;
}

/** A strided tensor over a storage, not yet validated against that storage. Offsets and strides are in elements. */
export interface PickledTensor {
  kind: 'tensor';
  /** By PyTorch's name. Our tensors may not have that dtype. */
  dtype: string;
  storage: PickledStorage;
  offset: number;
  shape: number[];
  strides: number[];
}

/** A tensor of an unsupported kind. It is an error only if the filter asks for it. */
export interface UnreadableTensor {
  kind: 'unreadable-tensor';
  /** For messages: 'is a sparse tensor'. */
  what: string;
}

/**
 * The most items that are added to a list or set. Further ones are dropped: nothing reads lists of that length, and an array of
 * many millions takes long to grow.
 */
const MAX_ITEMS = 2 ** 20;

/** Appends to a list or set, up to {@link MAX_ITEMS}. */
export function addItems(list: PickleValue[], items: readonly PickleValue[]): void {
  const count = Math.min(items.length, MAX_ITEMS - list.length);
  for (let i = 0; i < count; i += 1) list.push(items[i] ?? null);
}

/** A set. Duplicates are not removed. */
export interface PickledSet {
  kind: 'set';
  items: PickleValue[];
}

/** A known and harmless value that nothing here needs: a device, a layout, a complex number. */
export interface Opaque {
  kind: 'opaque';
  name: string;
}

/** A callable that a pickle may name. None of them runs code from the file. */
export interface Constructor {
  kind: 'constructor';
  name: string;
}

/**
 * A dict, an OrderedDict or a Counter. Entries whose keys are not strings stay in a list: nothing looks them up, and hashing them
 * would let a file choose colliding keys.
 */
export class PickledDict {
  readonly entries = new Map<string, PickleValue>();
  readonly others: [key: PickleValue, value: PickleValue][] = [];

  get size(): number {
    return this.entries.size + this.others.length;
  }

  set(key: PickleValue, value: PickleValue): void {
    if (typeof key === 'string') this.entries.set(key, value);
    else this.others.push([key, value]);
  }
}

/** Every value that a pickle can have here. Tuples and lists are both arrays. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | PickledDict
  | PickledSet
  | PickledTensor
  | UnreadableTensor
  | PickledStorage
  | StorageType
  | PickledDType
  | Opaque
  | Constructor;

/** Describes a value in Python's terms, for messages. */
export function pythonType(value: PickleValue): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return 'a bool';
  if (typeof value === 'string') return 'a str';
  if (typeof value === 'number' || typeof value === 'bigint') return 'a number';
  if (Array.isArray(value)) return 'a list or tuple';
  if (value instanceof PickledDict) return 'a dict';
  if (value instanceof Uint8Array) return 'bytes';
  if (isTensor(value)) return 'a tensor';
  return value.kind === 'opaque' ? `a ${value.name}` : `a ${value.kind}`;
}

type Kinded = Extract<PickleValue, { kind: string }>;

/** True if the value is of that kind. */
export function isKind<K extends Kinded['kind']>(
  value: PickleValue | undefined,
  kind: K,
): value is Extract<Kinded, { kind: K }> {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'kind')) return false;
  return (value as Kinded).kind === kind;
}

/** True if the value is a tensor, readable or not. */
export function isTensor(value: PickleValue | undefined): value is PickledTensor | UnreadableTensor {
  return isKind(value, 'tensor') || isKind(value, 'unreadable-tensor');
}
