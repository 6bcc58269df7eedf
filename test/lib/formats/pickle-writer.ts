/** Writes pickles (protocol 2) for tests, one operation a function, so that tests can say what no pickler writes. */

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
  type?: string;
  key?: string;
  numel?: number;
  offset?: number;
  shape?: number[];
  strides?: number[];
}

export function storage({ type = 'FloatStorage', key = '0', numel = 6 }: TensorSpec): Buffer {
  const id = tuple(text('storage'), global('torch', type), text(key), text('cpu'), number(numel));
  return Buffer.concat([id, Buffer.from('Q')]);
}

/** A tensor as torch.save writes it: by default float32 of shape [2, 3], contiguous, on the whole of storage '0'. */
export function tensor(spec: TensorSpec = {}): Buffer {
  const { offset = 0, shape = [2, 3], strides = [3, 1] } = spec;
  const rebuild = global('torch._utils', '_rebuild_tensor_v2');
  const falsehood = Buffer.from([0x89]);
  return call(rebuild, storage(spec), number(offset), numbers(shape), numbers(strides), falsehood, hooks);
}

/** The whole program that leaves `value`. */
export function pickle(...value: Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from([0x80, 2]), ...value, Buffer.from('.')]);
}
