/** Writes checkpoints for tests. */
import type { ArrayEntries } from '../../../lib/formats/array-entry';
import { dict, pickle, tensor, type TensorSpec } from './pickle-writer';
import { zip, type ZipRecord } from './zip';

export const SIX = new Uint8Array(Float32Array.of(0, 1, 2, 3, 4, 5).buffer);

/** The records of a checkpoint with that pickle and one storage of six float32 elements. */
export function records(pickled: Uint8Array, data = SIX): ZipRecord[] {
  return [
    { name: 'a/data.pkl', data: pickled },
    { name: 'a/data/0', data },
  ];
}

/** A checkpoint of that value, on the same storage. */
export function checkpoint(value: Uint8Array, data = SIX): Uint8Array {
  return zip(records(pickle(value), data));
}

/** A checkpoint of one tensor `w`. */
export function tensorFile(spec: TensorSpec, data = SIX): Uint8Array {
  return checkpoint(dict({ w: tensor(spec) }), data);
}

export function elements(entries: ArrayEntries, name = 'w'): unknown[] {
  return Array.from(entries[name]?.data ?? [], (value: number | bigint) => value);
}
