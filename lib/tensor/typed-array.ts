import { constants } from 'node:buffer';
import { types } from 'node:util';
import { type DType, dtypeInfo, type TypedArray } from '../dtype';
import { TokenLearnerError } from '../errors';

/**
 * The prototype of all typed arrays. A subclass or an own property can lie about an array's length. The getters of this
 * prototype always return V8's own values, and they work on arrays of every realm.
 */
const PROTOTYPE = Object.getPrototypeOf(Uint8Array.prototype) as object;

// Kept from the import, since scripts can replace the globals.
const Buffer = ArrayBuffer;
const Bytes = Uint8Array;

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

/** The name of a typed array, such as 'Float32Array'; undefined for any other value. */
export function typedArrayName(value: unknown): string | undefined {
  return intrinsic.name(value) as string | undefined;
}

export function lengthOf(array: TypedArray): number {
  return intrinsic.length(array) as number;
}

/**
 * Creates a typed array for `dtype`. `content` is the number of zeros, or the elements. Throws ERR_OUT_OF_RANGE or
 * ERR_OUT_OF_MEMORY.
 */
export function typedArrayOf(content: number | readonly (number | bigint)[], dtype: DType): TypedArray {
  const { array: Class, itemSize } = dtypeInfo(dtype);
  const length = typeof content === 'number' ? content : content.length;
  const bytes = length * itemSize;
  if (bytes > constants.MAX_LENGTH) {
    throw new TokenLearnerError(
      'ERR_OUT_OF_RANGE',
      `${bytes} bytes do not fit in an ArrayBuffer, which holds at most ${constants.MAX_LENGTH} bytes`,
    );
  }
  let buffer: ArrayBuffer;
  try {
    buffer = new Buffer(bytes);
  } catch (cause) {
    throw new TokenLearnerError('ERR_OUT_OF_MEMORY', `Could not allocate ${bytes} bytes`, { cause });
  }
  const made = new Class(buffer);
  if (typeof content !== 'number') {
    for (let i = 0; i < length; i++) made[i] = content[i] as never;
  }
  return made;
}

type Transfer = (buffer: ArrayBuffer, byteLength?: number) => ArrayBuffer;

/**
 * ArrayBuffer.prototype.transfer, kept from the import. It moves a buffer's memory into a new buffer, even if structured cloning
 * would copy or refuse; with a `byteLength` of 0 it frees the memory. Undefined before Node 22.
 */
export const transferBuffer = ((): Transfer | undefined => {
  const { transfer } = ArrayBuffer.prototype as {
    transfer?: (this: ArrayBuffer, byteLength?: number) => ArrayBuffer;
  };
  return transfer && ((buffer, byteLength) => transfer.call(buffer, byteLength));
})();

/** Creates a view of a buffer's bytes. */
export function bytesOver(buffer: ArrayBufferLike, byteOffset = 0, byteLength?: number): Uint8Array {
  return new Bytes(buffer, byteOffset, byteLength);
}

/** True if a buffer's memory was transferred away. */
function isDetached(buffer: ArrayBufferLike): boolean {
  if (buffer.byteLength > 0) return false;
  try {
    return new Bytes(buffer).length !== 0;
  } catch {
    // V8 refuses to create views over a detached buffer.
    return true;
  }
}

/** True if a buffer can change size, or if another thread can write into it, during a run. */
function isUnsafe(buffer: ArrayBufferLike): boolean {
  return types.isSharedArrayBuffer(buffer) || (buffer as { resizable?: boolean }).resizable === true;
}

/** Throws ERR_UNSUPPORTED_BUFFER for resizable and shared buffers, and ERR_DETACHED. */
function checkBuffer(name: string, buffer: ArrayBufferLike): void {
  if (isUnsafe(buffer)) {
    throw new TokenLearnerError(
      'ERR_UNSUPPORTED_BUFFER',
      `Expected a typed array over a fixed-length ArrayBuffer for \`${name}\` but received one over a ` +
        (types.isSharedArrayBuffer(buffer) ? 'SharedArrayBuffer' : 'resizable ArrayBuffer') +
        '; pass a copy (data.slice())',
    );
  }
  if (isDetached(buffer)) {
    throw new TokenLearnerError(
      'ERR_DETACHED',
      `Expected a typed array with memory for \`${name}\` but its ArrayBuffer was detached (transferred)`,
    );
  }
}

/**
 * Creates our own view of an array's bytes. Its length is the real one, whatever the array's properties claim. Throws
 * ERR_UNSUPPORTED_BUFFER for resizable and shared buffers, and ERR_DETACHED.
 */
export function fixedBytes(name: string, array: TypedArray): Uint8Array {
  const buffer = intrinsic.buffer(array) as ArrayBufferLike;
  checkBuffer(name, buffer);
  return bytesOver(buffer, intrinsic.byteOffset(array) as number, intrinsic.byteLength(array) as number);
}

/** As {@link fixedBytes}, for an ArrayBuffer and for all its views; undefined for any other value. */
export function bufferBytes(name: string, value: unknown): Uint8Array | undefined {
  if (types.isTypedArray(value)) return fixedBytes(name, value as TypedArray);
  if (types.isAnyArrayBuffer(value)) {
    checkBuffer(name, value);
    return bytesOver(value);
  }
  if (!types.isDataView(value)) return undefined;
  const own = (property: string): unknown => Reflect.get(DataView.prototype, property, value) as unknown;
  const buffer = own('buffer') as ArrayBufferLike;
  checkBuffer(name, buffer);
  return bytesOver(buffer, own('byteOffset') as number, own('byteLength') as number);
}
