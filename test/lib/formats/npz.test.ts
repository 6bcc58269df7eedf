import { bytesSource } from '../../../lib/formats/byte-source';
import { serializeNpy } from '../../../lib/formats/npy-write';
import { parseNpz, readNpz, readNpzFrom } from '../../../lib/formats/npz';
import { allocateInJavaScript } from '../../../lib/formats/read-elements';
import {
  byName,
  describedAll,
  expectedArrays,
  expectReject,
  fixture,
  readable,
  sample,
  withPolluted,
} from './support';
import { zip, type ZipRecord } from './zip';

const x: ZipRecord = { name: 'x.npy', data: serializeNpy(sample('float32', [2, 3])) };

test.each(readable('.npz'))('%s', async (name) => {
  expect(byName(describedAll(await parseNpz(fixture(name))))).toEqual(byName(expectedArrays(name)));
});

test('from a path', async () => {
  const path = `${__dirname}/../../fixtures/formats/all.npz`;
  expect(Object.keys(await readNpz(path))).toContain('params/LayerNorm_0/scale');
});

test('names in the order of the archive; `__proto__` is an ordinary one', async () => {
  const names = ['b', '__proto__', 'a'];
  const entries = await parseNpz(zip(names.map((name) => ({ ...x, name: `${name}.npy` }))));
  expect(Object.keys(entries)).toEqual(names);
});

test('the filter decides what is read: the others may be anything', async () => {
  const filter = (name: string): boolean => name === 'x';
  for (const bytes of [
    fixture('refused-bfloat16.npz'),
    fixture('refused-object.npz'),
    zip([x, { name: 'readme.txt', data: Buffer.from('text') }, { ...x, name: 'y.npy', declaredChecksum: 7 }]),
  ]) {
    const read = readNpzFrom(bytesSource(bytes), 'w', { filter, allocate: allocateInJavaScript });
    expect(Object.keys(await read)).toEqual(['x']);
  }
});

test.each<[string, Uint8Array, RegExp]>([
  ['bfloat16', fixture('refused-bfloat16.npz'), /^w\.npz: "w\.npy": dtype ".V2" .*ml_dtypes saves bfloat16/],
  ['pickled objects', fixture('refused-object.npz'), /"w\.npy".*pickled Python objects/],
  ['a checkpoint', fixture('all.pt'), /PyTorch checkpoint; load it with loadCheckpoint/],
  [
    'a record that is no array',
    zip([x, { name: 'a.txt', data: x.data }]),
    /"a\.txt" is not an array.*filter/,
  ],
  ['an array twice', zip([x, x]), /"x\.npy" twice/],
  ['a name that leaves its folder', zip([{ ...x, name: '../x.npy' }]), /leaves its folder/],
  ['an encrypted array', zip([{ ...x, flags: 1, deflate: true }]), /encrypted/],
  ['another compression', zip([{ ...x, method: 12 }]), /method 12/],
  ['damage', zip([{ ...x, declaredChecksum: 7 }]), /damaged: its checksum/],
  ['an array that is cut', zip([{ ...x, data: x.data.subarray(0, -1) }]), /"x\.npy": truncated/],
  ['bytes after an array', zip([{ ...x, data: Buffer.concat([x.data, Buffer.alloc(4)]) }]), /trailing bytes/],
  ['an empty record', zip([{ ...x, data: new Uint8Array(0) }]), /not an npy file/],
  ['a zip bomb', zip([{ ...x, deflate: true, declaredSize: 2 ** 31 }]), /expands to over \d+ bytes/],
  ['a checksum of 0', zip([{ ...x, declaredChecksum: 0 }]), /damaged: its checksum is \w+ instead of 0/],
  ['a shape that lies', zip([{ ...x, data: lying('(9007199254740991,)') }]), /too large a shape/],
  ['a shape beyond 2^53', zip([{ ...x, data: lying('(9223372036854775808,)') }]), /integers from 0 to 2\^53/],
  ['no zip', Buffer.from('PK nothing'), /not a valid zip/],
])('%s is refused', async (_, bytes, message) => {
  await expectReject(parseNpz(bytes, 'w.npz'), 'ERR_FILE_FORMAT', message);
});

/** An npy file of another shape than its elements'. */
function lying(shape: string): Uint8Array {
  const text = Buffer.from(x.data).toString('latin1');
  return Buffer.from(
    text.replace(/\(2, 3\), }\s{0,}/, (old) => `${shape}, }`.padEnd(old.length)),
    'latin1',
  );
}

test('a record deflated a thousandfold is refused before it is inflated, in little memory', async () => {
  const header = serializeNpy({ dtype: 'uint8', shape: [0], data: new Uint8Array(0) });
  const bomb = zip([{ ...x, data: Buffer.concat([header, Buffer.alloc(2 ** 27)]), deflate: true }]);
  const before = process.memoryUsage().arrayBuffers;
  await expectReject(parseNpz(bomb), 'ERR_FILE_FORMAT', /expands to over/);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
});

test.each(['0', '30', '100', '1000', '-1', '-23'])('an archive cut at byte %s', async (at) => {
  await expectReject(parseNpz(fixture('all.npz').subarray(0, Number(at))), 'ERR_FILE_FORMAT', /./);
});

test('properties of Object.prototype change nothing', async () => {
  for (const name of ['finishFlush', 'filter', 'chunkSize'])
    await withPolluted(name, 1, async () => {
      expect(Object.keys(await parseNpz(zip([{ ...x, deflate: true }])))).toEqual(['x']);
    });
});
