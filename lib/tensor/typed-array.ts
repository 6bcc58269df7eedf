import type { TypedArray } from '../dtype';

/**
 * Typed arrays as the engine sees them. A subclass or an own property can say anything of its length; the getters of the
 * intrinsic prototype cannot be fooled, and work on arrays of every realm.
 */
const PROTOTYPE = Object.getPrototypeOf(Uint8Array.prototype) as object;

function intrinsicGetter(property: PropertyKey): (value: unknown) => unknown {
  const { get } = Object.getOwnPropertyDescriptor(PROTOTYPE, property) as { get: (this: unknown) => unknown };
  return (value) => get.call(value);
}

const intrinsic = {
  name: intrinsicGetter(Symbol.toStringTag),
  buffer: intrinsicGetter('buffer'),
  byteOffset: intrinsicGetter('byteOffset'),
  byteLength: intrinsicGetter('byteLength'),
  length: intrinsicGetter('length'),
};

/** 'Float32Array' and the like; undefined for anything that is no typed array. */
export function typedArrayName(value: unknown): string | undefined {
  return intrinsic.name(value) as string | undefined;
}

export function lengthOf(array: TypedArray): number {
  return intrinsic.length(array) as number;
}

/** Where an array's elements are. */
export function memoryOf(array: TypedArray): {
  buffer: ArrayBufferLike;
  byteOffset: number;
  byteLength: number;
} {
  return {
    buffer: intrinsic.buffer(array) as ArrayBufferLike,
    byteOffset: intrinsic.byteOffset(array) as number,
    byteLength: intrinsic.byteLength(array) as number,
  };
}

/** Whether a buffer's memory has been given away. */
export function isDetached(buffer: ArrayBufferLike): boolean {
  if (buffer.byteLength > 0) return false;
  try {
    return new Uint8Array(buffer).length !== 0;
  } catch {
    // Views over a detached buffer cannot be made.
    return true;
  }
}
