/** Writes MessagePack for tests, as wrong as asked for. */

function head(first: number, size: 1 | 2 | 4, value: number): Buffer {
  const bytes = Buffer.alloc(1 + size);
  bytes.writeUInt8(first, 0);
  bytes.writeUIntBE(value, 1, size);
  return bytes;
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([head(0xda, 2, bytes.length), bytes]);
}

export function integer(value: bigint): Buffer {
  const bytes = Buffer.alloc(9);
  bytes.writeUInt8(0xcf, 0);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, value), 1);
  return bytes;
}

export function list(...items: readonly Uint8Array[]): Buffer {
  return Buffer.concat([head(0xdd, 4, items.length), ...items]);
}

export function bin(bytes: Uint8Array, declared = bytes.length): Buffer {
  return Buffer.concat([head(0xc6, 4, declared), bytes]);
}

export function map(entries: Readonly<Record<string, Uint8Array>>, declared?: number): Buffer {
  const pairs = Object.entries(entries);
  return Buffer.concat([
    head(0xdf, 4, declared ?? pairs.length),
    ...pairs.flatMap(([key, value]) => [text(key), value]),
  ]);
}

export function extension(code: number, payload: Uint8Array, declared = payload.length): Buffer {
  return Buffer.concat([head(0xc9, 4, declared), Buffer.from([code]), payload]);
}

interface ArraySpec {
  shape?: readonly (number | bigint)[];
  dtype?: string;
  bytes?: Uint8Array;
  code?: number;
}

/** An array of six float32 elements, unless said otherwise. */
export function array({ shape = [6], dtype = 'float32', bytes = SIX, code = 1 }: ArraySpec = {}): Buffer {
  const sizes = shape.map((size) => integer(BigInt(size)));
  return extension(code, list(list(...sizes), text(dtype), bin(bytes)));
}

export const SIX = new Uint8Array(Float32Array.of(0, 1, 2, 3, 4, 5).buffer);
