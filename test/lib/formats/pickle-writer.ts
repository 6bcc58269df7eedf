/** Writes pickles (protocol 2) for tests, one operation a function, so that tests can say what no pickler writes. */

/** Raw bytes: numbers, and characters in latin1. */
export function raw(...bytes: (number | string)[]): Buffer {
  return Buffer.concat(
    bytes.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from([part]))),
  );
}

/** The same operations `count` times. */
export function repeat(operations: Uint8Array, count: number): Buffer {
  return Buffer.concat(new Array<Uint8Array>(count).fill(operations));
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from('X'), uint32(bytes.length), bytes]);
}

/** Numbers beyond 32 bits as LONG1. */
export function number(value: number): Buffer {
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 31) {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    return Buffer.concat([Buffer.from('J'), bytes]);
  }
  if (!Number.isInteger(value)) {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    return Buffer.concat([Buffer.from('G'), bytes]);
  }
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(value));
  return Buffer.concat([Buffer.from([0x8a, 8]), bytes]);
}

export function tuple(...items: Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from('('), ...items, Buffer.from('t')]);
}

export function numbers(values: readonly number[]): Buffer {
  return tuple(...values.map(number));
}

export function global(module: string, name: string): Buffer {
  return Buffer.from(`c${module}\n${name}\n`);
}

export function call(callee: Uint8Array, ...args: Uint8Array[]): Buffer {
  return Buffer.concat([callee, tuple(...args), Buffer.from('R')]);
}

export function dict(items: Record<string, Uint8Array>): Buffer {
  const pairs = Object.entries(items).map(([key, value]) => Buffer.concat([text(key), value]));
  return Buffer.concat([Buffer.from('}('), ...pairs, Buffer.from('u')]);
}

export const none = Buffer.from('N');
export const hooks = call(global('collections', 'OrderedDict'));

export interface TensorSpec {
  /** The storage's class, in the module torch. */
  type?: string;
  /** Makes the storage untyped, and the tensor one of this dtype; `numel` is in bytes then. */
  dtype?: string;
  key?: string;
  numel?: number;
  offset?: number;
  shape?: number[];
  strides?: number[];
}

export function storage({ type = 'FloatStorage', dtype, key = '0', numel = 6 }: TensorSpec): Buffer {
  const kind = dtype === undefined ? global('torch', type) : global('torch.storage', 'UntypedStorage');
  const id = tuple(text('storage'), kind, text(key), text('cpu'), number(numel));
  return Buffer.concat([id, Buffer.from('Q')]);
}

/**
 * A tensor as torch.save writes it: by default float32 of shape [2, 3], contiguous, on the whole of storage
 * '0'.
 */
export function tensor(spec: TensorSpec = {}): Buffer {
  const { offset = 0, shape = [2, 3], strides = [3, 1], dtype } = spec;
  const place = [storage(spec), number(offset), numbers(shape), numbers(strides), Buffer.from([0x89]), hooks];
  if (dtype === undefined) return call(global('torch._utils', '_rebuild_tensor_v2'), ...place);
  return call(global('torch._utils', '_rebuild_tensor_v3'), ...place, global('torch', dtype));
}

/** The whole program that leaves `value`. */
export function pickle(...value: Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from([0x80, 2]), ...value, Buffer.from('.')]);
}
