import { crc32, deflateRawSync } from 'node:zlib';
import { bytesSource } from '../../../lib/formats/byte-source';
import { type ArchiveLayout, ZipArchive } from '../../../lib/formats/zip-archive';
import { expectReject } from './support';
import { zip, type ZipRecord } from './zip';

const open = (records: readonly ZipRecord[], layout?: ArchiveLayout): Promise<ZipArchive> =>
  ZipArchive.open(bytesSource(zip(records)), 'x.zip', layout);

const METHODS: [string, (archive: ZipArchive, name: string) => Promise<unknown>][] = [
  ['read', (archive, name) => archive.read(name)],
  ['stream', (archive, name) => archive.stream(name, () => Promise.resolve())],
  ['source', (archive, name) => archive.source(name)],
  ['readHead', (archive, name) => archive.readHead(name, 100)],
];

describe.each([false, true])('deflated: %s', (deflate) => {
  const data = Uint8Array.from({ length: 1000 }, (_, i) => (i * 2654435761) >>> 13);
  const record: ZipRecord = { name: 'first', data, deflate };
  /** Records that name the first one's bytes. */
  const claims = Array.from({ length: 20 }, (_, i) => ({
    name: `${i}`.padStart(5, '0'),
    data: new Uint8Array(0),
    method: deflate ? 8 : 0,
    declaredSize: data.length,
    declaredCompressedSize: deflate ? deflateRawSync(data).length : data.length,
    declaredChecksum: crc32(data),
    offset: 0,
  }));

  test.each(METHODS)('%s: records that share bytes of the archive are refused', async (_, use) => {
    const archive = await open([record, ...claims]);
    const all = async (): Promise<void> => {
      for (const name of archive.names) await use(archive, name);
    };
    await expectReject(all(), 'ERR_FILE_FORMAT', 'records of the archive overlap');
  });

  test.each(METHODS)('%s: a record may be asked for again and again', async (_, use) => {
    const archive = await open([record]);
    for (let i = 0; i < 10; i += 1) await use(archive, 'first');
    await archive.stream('first', () => Promise.resolve());
  });

  test('a checksum of 0 is wrong, but for archives that may have none', async () => {
    const records = [{ ...record, declaredChecksum: 0 }];
    await expectReject((await open(records)).read('first'), 'ERR_FILE_FORMAT', /instead of 0$/);
    expect(await (await open(records, { zeroChecksums: true })).read('first')).toEqual(data);
  });
});

test('the beginning of a record that was deflated a thousandfold is inflated, not the rest', async () => {
  const data = new Uint8Array(2 ** 24);
  const records = Array.from({ length: 8 }, (_, i) => ({ name: String(i), data, deflate: true }));
  const archive = await open(records);
  const before = process.memoryUsage().arrayBuffers;
  const heads: Uint8Array[] = [];
  for (const { name } of records) heads.push(await archive.readHead(name, 10_000));
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 22);
  expect(heads.every((head) => head.byteLength === 10_000)).toBe(true);
});

test('beginnings count as expansion', async () => {
  const archive = await open([{ name: 'a', data: new Uint8Array(10_000), deflate: true }]);
  archive.chargeExpansion(2 ** 26);
  await expectReject(archive.readHead('a', 10_000), 'ERR_FILE_FORMAT', /expands to over/);
});
