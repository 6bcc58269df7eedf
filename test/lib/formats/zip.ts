import { crc32, deflateRawSync } from 'node:zlib';
import { npyHeader } from '../../../lib/formats/npy-header';

/** One record of a test archive, and how it is to differ from a sound one. */
export interface ZipRecord {
  name: string;
  data: Uint8Array;
  deflate?: boolean;
  /** The uncompressed size to declare in place of the real one. */
  declaredSize?: number;
  /** The compressed size to declare in place of the real one. */
  declaredCompressedSize?: number;
  /** The checksum to declare in place of the real one. */
  declaredChecksum?: number;
  method?: number;
  flags?: number;
  /** Where the local header is said to lie. */
  offset?: number;
}

/** Writes a zip archive, as wrong as asked for. */
export function zip(records: readonly ZipRecord[], comment = ''): Buffer {
  const locals: Buffer[] = [];
  const centrals: Buffer[] = [];
  let offset = 0;
  for (const record of records) {
    const name = Buffer.from(record.name);
    const data = record.deflate ? deflateRawSync(record.data) : Buffer.from(record.data);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(record.flags ?? 0, 2);
    fields.writeUInt16LE(record.method ?? (record.deflate ? 8 : 0), 4);
    fields.writeUInt32LE(record.declaredChecksum ?? crc32(record.data), 10);
    fields.writeUInt32LE(record.declaredCompressedSize ?? data.length, 14);
    fields.writeUInt32LE(record.declaredSize ?? record.data.length, 18);
    fields.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, name, data]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(record.offset ?? offset, 10);
    centrals.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), fields, tail, name]));
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(centrals);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(records.length, 8);
  end.writeUInt16LE(records.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  end.writeUInt16LE(comment.length, 20);
  return Buffer.concat([...locals, directory, end, Buffer.from(comment)]);
}

/** An array of shape (2, 3) whose header names any NumPy dtype. */
export function npyOf(descr: string, elements: Uint8Array): Buffer {
  return Buffer.concat([npyHeader(descr, [2, 3]), elements]);
}
