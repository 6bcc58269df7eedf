import { bytesSource, type ByteSource } from '../../../lib/formats/byte-source';
import { readNpyFrom } from '../../../lib/formats/npy';
import { serializeNpy } from '../../../lib/formats/npy-write';
import { allocateInJavaScript, type Allocate } from '../../../lib/formats/read-elements';
import { readSafetensorsFrom } from '../../../lib/formats/safetensors';
import { serializeSafetensors } from '../../../lib/formats/safetensors-write';

/** A source that notes what is read into. */
function watched(bytes: Uint8Array): { source: ByteSource; targets: Uint8Array[] } {
  const targets: Uint8Array[] = [];
  const inner = bytesSource(bytes);
  const read: ByteSource['read'] = (target, position) => {
    targets.push(target);
    return inner.read(target, position);
  };
  return { source: { size: inner.size, read }, targets };
}

const MEBIBYTE = 2 ** 20;
const data = Float32Array.from({ length: (9 * MEBIBYTE) / 4 }, (_, i) => i);
const entry = { dtype: 'float32', shape: [data.length], data } as const;

test.each([
  [
    'safetensors',
    () => serializeSafetensors({ a: { ...entry, shape: [data.length] } }),
    async (source: ByteSource, allocate: Allocate) =>
      (await readSafetensorsFrom(source, 'x', { filter: undefined, allocate })).entries.a?.data,
  ],
  [
    'npy',
    () => serializeNpy({ ...entry, shape: [data.length] }),
    async (source: ByteSource, allocate: Allocate) => (await readNpyFrom(source, 'x', allocate)).data,
  ],
])('%s is read straight into its memory, in parts of at most 4 MiB', async (_, serialize, read) => {
  const { source, targets } = watched(await serialize());
  const buffers: ArrayBufferLike[] = [];
  const filled = await read(source, (...args) => {
    const array = allocateInJavaScript(...args);
    buffers.push(array.buffer);
    return array;
  });
  expect(filled?.every((value, i) => value === i)).toBe(true);
  const direct = targets.filter(({ buffer }) => buffers.includes(buffer));
  expect(direct.map(({ byteLength }) => byteLength)).toEqual([4 * MEBIBYTE, 4 * MEBIBYTE, MEBIBYTE]);
  const others = targets.filter(({ buffer }) => !buffers.includes(buffer));
  expect(others.reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThan(MEBIBYTE);
});
