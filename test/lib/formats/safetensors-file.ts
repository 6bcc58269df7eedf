/** A file with that header and data. */
export function file(header: string | Uint8Array, data: number[] = []): Uint8Array {
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Uint8Array.from(data)]);
}

/** A file of one U8 tensor `a` of shape [2], with some of its fields replaced by other JSON. */
export function tensorFile(fields: Record<string, string>): Uint8Array {
  const all = { dtype: '"U8"', shape: '[2]', data_offsets: '[0,2]', ...fields };
  const members = Object.entries(all).map(([key, value]) => `"${key}":${value}`);
  return file(`{"a":{${members.join()}}}`, [1, 2]);
}

/** A member of a header: the U8 tensor `a` of shape [2], at the beginning of the data. */
export const A = '"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}';
