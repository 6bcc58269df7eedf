/**
 * The property by which test runners compare and print tensors.
 *
 * The deep comparisons of jest, vitest, bun and node:assert read an object's own enumerable properties, and private fields are none.
 * So each tensor has one. Reading it copies the elements. Its name is a string, since the legacy assert.deepEqual skips symbols. It comes
 * after `cloning`, so that a structured clone fails before it reads the elements.
 */
import type { Device } from '../device';
import type { DType } from '../dtype';
import { type Shape } from '../shape';
import { tensorState, type TensorState } from './access';
import { isPlain } from './copy';
import { rawElements } from './elements';
import { elementValue, jsonElement, nested } from './numbers';

const CONTENTS = 'contents';

/** jest prints copies of objects. They have the properties that this symbol names, else all getters of the prototypes. */
const SERIALIZABLE = Symbol.for('@jest/serializableProperties');
/** Getters that do not throw for a live tensor. */
const LIVE = ['shape', 'strides', 'dtype', 'device', 'ndim', 'numel', 'byteLength', 'isContiguous'];

interface Contents {
  shape: Shape;
  dtype: DType;
  device: Device;
  /** Nested arrays. For a tensor without readable elements a symbol, new each time: it equals no other tensor. */
  data: unknown;
}

/** Why the elements cannot be read; undefined if they can. */
export function unreadable(state: TensorState): 'disposed' | 'detached' | undefined {
  if (state.disposed) return 'disposed';
  try {
    state.storage.argument();
    return undefined;
  } catch {
    return 'detached';
  }
}

function contentsOf(state: TensorState, element: (dtype: DType, raw: number | bigint) => unknown): Contents {
  const { shape, dtype, device } = state;
  const reason = unreadable(state);
  if (reason !== undefined) return { shape, dtype, device, data: Symbol(reason) };
  try {
    const raw = rawElements(state);
    return { shape, dtype, device, data: nested((i) => element(dtype, raw[i] ?? 0), shape) };
  } catch {
    return { shape, dtype, device, data: Symbol('unreadable') };
  }
}

function getContents(this: unknown): Contents | undefined {
  const state = tensorState(this);
  return state && contentsOf(state, elementValue);
}

interface Legacy {
  __defineGetter__: (name: string, getter: () => unknown) => void;
}

/**
 * Defines an own enumerable accessor. Unlike Object.defineProperty it reads no descriptor, whose missing properties a changed
 * Object.prototype could provide; and it is faster.
 */
const defineGetter = Function.prototype.call.bind(
  (Object.prototype as unknown as Legacy).__defineGetter__,
) as (target: object, name: string, getter: () => unknown) => void;

const read = (tensor: object): object => {
  const state = tensorState(tensor);
  return state === undefined ? {} : contentsOf(state, elementValue);
};

/** bun compares accessors but prints none of their values. It reads a proxy through its traps, and prints its JSON. */
const LAZY: ProxyHandler<object> = {
  ownKeys: (tensor) => Reflect.ownKeys(read(tensor)),
  has: (tensor, key) => Reflect.has(read(tensor), key),
  getOwnPropertyDescriptor: (tensor, key) => Reflect.getOwnPropertyDescriptor(read(tensor), key),
  getPrototypeOf: () => Object.prototype,
  get: (tensor, key) => {
    if (key !== 'toJSON') return Reflect.get(read(tensor), key) as unknown;
    return () => {
      const state = tensorState(tensor);
      const contents = state && contentsOf(state, jsonElement);
      return typeof contents?.data === 'symbol' ? { ...contents, data: contents.data.description } : contents;
    };
  },
};

/** The properties to copy: those that a plain object to compare with may name, unless they throw. */
function copiedNames(state: TensorState): string[] {
  const names = [CONTENTS, 'disposed', ...(state.disposed ? [] : LIVE)];
  return unreadable(state) === undefined && isPlain(state) ? [...names, 'data'] : names;
}

/** Tells jest what to copy. */
export function nameCopied(prototype: object): void {
  // jest asks a tensor first, and then its prototypes, which cannot know about the tensor.
  let names: readonly string[] = [];
  Object.defineProperty(prototype, SERIALIZABLE, {
    get() {
      const state = tensorState(this);
      if (state !== undefined) names = copiedNames(state);
      return names;
    },
  });
}

/** Gives a new tensor the property. */
export const showContents: (tensor: object) => void =
  process.versions.bun === undefined
    ? (tensor) => {
        defineGetter(tensor, CONTENTS, getContents);
      }
    : (tensor) => {
        (tensor as Record<string, unknown>)[CONTENTS] = new Proxy(tensor, LAZY);
      };
