import { parseNpz } from '../../../lib/formats/npz';
import { serializeNpz } from '../../../lib/formats/npz-write';
import type { FileContent } from '../../../lib/formats/file-write';
import { zipContent } from '../../../lib/formats/zip-write';
import { byName, describedAll, expectedArrays, expectReject, fixture, sample } from './support';

test('the same bytes as numpy.savez', async () => {
  const expected = fixture('written.npz');
  const bytes = await serializeNpz(await parseNpz(expected));
  expect(Buffer.compare(bytes, expected)).toBe(0);
  expect(Buffer.compare(await serializeNpz({}), fixture('empty.npz'))).toBe(0);
});

test('compressed, and read back', async () => {
  const entries = await parseNpz(fixture('all.npz'));
  const bytes = await serializeNpz(entries, true);
  expect(bytes.length).toBeLessThan(fixture('all.npz').length);
  expect(byName(describedAll(await parseNpz(bytes)))).toEqual(byName(expectedArrays('all.npz')));
});

test('what deflates too far for the reader is stored', async () => {
  // Together over the free 64 MiB. `small` stays deflated; deflate makes `bits` no smaller.
  const bits = Uint8Array.from({ length: 1000 }, (_, i) => (i * 2654435761) >>> 13);
  const zeros = (count: number) => ({ dtype: 'uint8', shape: [count], data: new Uint8Array(count) }) as const;
  const entries = {
    small: zeros(2 ** 21),
    large: zeros(2 ** 26),
    bits: { dtype: 'uint8', shape: [1000], data: bits },
  } as const;
  const bytes = await serializeNpz(entries as never, true);
  expect(bytes.length).toBeGreaterThan(2 ** 26);
  expect(bytes.length).toBeLessThan(2 ** 26 + 2 ** 14);
  const read = await parseNpz(bytes);
  expect(Object.keys(read)).toEqual(['small', 'large', 'bits']);
  expect(read.large?.data.length).toBe(2 ** 26);
  expect(read.bits?.data).toEqual(bits);
});

test.each(['a\\b', 'a/../b', 'a\0b', '\ud800'])('a name that cannot be read back: %j', async (name) => {
  await expectReject(
    serializeNpz({ [name]: sample('float32', [1]) }),
    'ERR_INVALID_ARG_VALUE',
    /names in the archive/,
  );
});

test('a name that is too long', async () => {
  const entries = { ['a'.repeat(2 ** 16)]: sample('float32', [1]) };
  await expectReject(serializeNpz(entries), 'ERR_OUT_OF_RANGE', /65535 bytes for a name/);
});

test('bfloat16', async () => {
  await expectReject(serializeNpz({ w: sample('bfloat16', [1]) }), 'ERR_INVALID_ARG_VALUE', /bfloat16/);
});

/** A content that claims to have more bytes than it gives, so that no test needs gigabytes. */
const claims = (byteLength: number): FileContent => ({ byteLength, chunks: () => [Buffer.from('x')] });

test('numbers over 2^31 are in the directory in 64 bits', async () => {
  const { byteLength, chunks } = await zipContent(
    [
      { name: 'a', content: claims(2 ** 33) },
      { name: 'b', content: claims(5) },
    ],
    false,
  );
  const parts = [...chunks()];
  const [directory, end] = parts.slice(-2).map((part) => Buffer.from(part)) as [Buffer, Buffer];
  expect(byteLength).toBe(2 ** 33 + 5 + 2 * (30 + 1 + 20) + directory.length + end.length);
  // a: both sizes; b: its offset.
  expect(directory.readUInt32LE(20)).toBe(0xffffffff);
  expect([directory.readUInt16LE(30), directory.readUInt16LE(47), directory.readUInt16LE(49)]).toEqual([
    20, 1, 16,
  ]);
  expect(directory.readBigUInt64LE(51)).toBe(2n ** 33n);
  const second = directory.subarray(46 + 1 + 20);
  expect(second.readUInt32LE(42)).toBe(0xffffffff);
  expect(second.readBigUInt64LE(46 + 1 + 4)).toBe(2n ** 33n + 51n);
  expect(end.subarray(0, 4).toString('latin1')).toBe('PK\x06\x06');
  expect(end.readBigUInt64LE(48)).toBe(2n ** 33n + 5n + 102n);
});

test('over 65,535 records are read back', async () => {
  const records = Array.from({ length: 2 ** 16 }, (_, i) => ({ name: `${i}.txt`, content: claims(1) }));
  const { chunks } = await zipContent(records, false);
  const bytes = Buffer.concat([...chunks()]);
  const end = bytes.subarray(-22);
  expect(end.readUInt16LE(10)).toBe(0xffff);
  const wide = bytes.subarray(-98);
  expect(wide.readBigUInt64LE(32)).toBe(2n ** 16n);
});
