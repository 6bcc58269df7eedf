import { parseCheckpoint } from '../../../lib/formats/checkpoint';
import { elements, records, SIX } from './checkpoint-writer';
import { dict, pickle, tensor } from './pickle-writer';
import { expectReject, fixture } from './support';
import { zip, type ZipRecord } from './zip';

describe('archives', () => {
  const sound = records(pickle(dict({ w: tensor() })));
  const [data, storage] = sound as [ZipRecord, ZipRecord];
  const refused = async (list: ZipRecord[], message: RegExp): Promise<void> => {
    await expectReject(parseCheckpoint(zip(list), {}, 'x.pt'), 'ERR_FILE_FORMAT', message);
    await expectReject(parseCheckpoint(zip(list), {}, 'x.pt'), 'ERR_FILE_FORMAT', /^x\.pt: /);
  };

  test('a sound one is read', async () => {
    expect(elements(await parseCheckpoint(zip(sound)))).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test('no data.pkl', () => refused([storage], /0 records data\.pkl/));
  test('a package of compiled programs', () =>
    refused([{ ...storage, name: 'm/data/aotinductor/model/x.so' }], /compiled programs \(\.pt2\)/));
  test('two data.pkl', () => refused([...sound, { ...data, name: 'b/data.pkl' }], /2 records data\.pkl/));
  test('data.pkl without a folder', () => refused([{ ...data, name: 'data.pkl' }], /0 records data\.pkl/));
  test('a record twice', () => refused([...sound, storage], /"a\/data\/0" twice/));
  test('a name that leaves the folder', () =>
    refused([data, { ...storage, name: 'a/../0' }], /not a valid zip.*leaves its folder/));
  test('an encrypted record', () => refused([{ ...data, flags: 1 }, storage], /not a valid zip|encrypted/));
  test('another compression', () => refused([{ ...data, method: 12 }, storage], /method 12/));
  test('sizes of a stored record that differ', () =>
    refused([data, { ...storage, declaredSize: 25 }], /mismatch/));
  test('a record beyond the end', () => refused([data, { ...storage, offset: 10_000 }], /not a valid zip/));
  test('a wrong record offset', () => refused([data, { ...storage, offset: 1 }], /not a valid zip/));
  test('deflated data that are none', () => refused([data, { ...storage, method: 8 }], /not a valid zip/));

  test('records that overlap', async () => {
    // Fifty storages whose records all claim the first 1,000 bytes of the file, as zip bombs do.
    const keys = Array.from({ length: 50 }, (_, i) => String(i));
    const spec = { numel: 250, shape: [250], strides: [1] };
    const value = dict(Object.fromEntries(keys.map((key) => [key, tensor({ ...spec, key })])));
    const claims = keys.map((key) => ({
      name: `a/data/${key}`,
      data: new Uint8Array(0),
      declaredSize: 1000,
      declaredCompressedSize: 1000,
      offset: 0,
    }));
    await refused([{ name: 'a/data.pkl', data: pickle(value) }, ...claims], /overlap/);
  });

  test('a byte order that is none', async () => {
    const middle = { name: 'a/byteorder', data: Buffer.from('middle') };
    await refused([...sound, middle], /the byte order is "middle"/);
    await refused([...sound, { ...middle, data: Buffer.alloc(17) }], /byteorder is malformed/);
  });

  test('a pickle over the limit is not even read', () =>
    refused([{ ...data, deflate: true, declaredSize: 2 ** 25 + 1 }, storage], /over the limit of 33554432/));

  test('a deflated record longer than declared', () =>
    refused(
      [data, { ...storage, data: new Uint8Array(1_000_000), deflate: true, declaredSize: 24 }],
      /larger than 24/,
    ));

  test('a deflated record shorter than declared', () =>
    refused(
      [data, { ...storage, data: SIX.subarray(4), deflate: true, declaredSize: 24 }],
      /20 bytes instead of 24/,
    ));

  test.each([1, 0x08000000])('a checksum that differs by %d is damage', async (bit) => {
    const { crc32 } = await import('node:zlib');
    for (const deflate of [false, true]) {
      const damaged = { ...storage, deflate, declaredChecksum: (crc32(storage.data) ^ bit) >>> 0 };
      await refused([data, damaged], /the record "data\/0" is damaged: its checksum/);
      await refused([{ ...data, deflate, declaredChecksum: 7 }, storage], /"data\.pkl" is damaged/);
    }
  });

  test('every flipped bit of the numbers is an error', async () => {
    const whole = zip(sound);
    const start = whole.indexOf(Buffer.from(SIX));
    for (let bit = 0; bit < SIX.length * 8; bit += 1) {
      const flipped = Buffer.from(whole);
      flipped.writeUInt8(flipped.readUInt8(start + (bit >> 3)) ^ (1 << (bit & 7)), start + (bit >> 3));
      await expectReject(parseCheckpoint(flipped), 'ERR_FILE_FORMAT', /is damaged/);
    }
  });

  test('a checksum of 0 is not checked: PyTorch writes 0 if it was told to compute none', async () => {
    const unchecked = [data, { ...storage, declaredChecksum: 0 }];
    expect(elements(await parseCheckpoint(zip(unchecked)))).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test('a record that is not read may be damaged', async () => {
    const other = { name: 'a/data/1', data: SIX, declaredChecksum: 7 };
    expect(elements(await parseCheckpoint(zip([...sound, other])))).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test.each(['c:', 'a:b', 'C:x', '\u00e9\ud83d\ude00', 'a b', 'a\\b', '..a'])(
    'a folder named %s',
    async (folder) => {
      const renamed = sound.map((record) => ({
        ...record,
        name: record.name.replace('a/', () => `${folder}/`),
      }));
      expect(elements(await parseCheckpoint(zip(renamed)))).toEqual([0, 1, 2, 3, 4, 5]);
    },
  );

  test('separators of Windows', async () => {
    const renamed = sound.map((record) => ({ ...record, name: record.name.replaceAll('/', '\\') }));
    expect(elements(await parseCheckpoint(zip(renamed)))).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test.each<[string, Uint8Array]>([
    ['one byte', Buffer.from('x')],
    ['zeros', Buffer.alloc(4096)],
    ['as many as PyTorch looks past', Buffer.alloc(2 ** 16 - 10)],
    ['a signature and no end', Buffer.from('PK\x05\x06'.padEnd(30, '\xff'), 'latin1')],
    [
      'a signature and a directory elsewhere',
      Buffer.from('PK\x05\x06'.padEnd(20, '"').padEnd(22, '\0'), 'latin1'),
    ],
  ])('bytes after the archive: %s', async (_, tail) => {
    for (const comment of ['', 'a comment'])
      expect(elements(await parseCheckpoint(Buffer.concat([zip(sound, comment), tail])))).toEqual([
        0, 1, 2, 3, 4, 5,
      ]);
  });

  test('more bytes after the archive than the search for its end covers', async () => {
    const bytes = Buffer.concat([zip(sound), Buffer.alloc(2 ** 16 + 64)]);
    await expectReject(parseCheckpoint(bytes), 'ERR_FILE_FORMAT', /End of central directory/);
  });

  test('bytes after an archive whose numbers need 64 bits', async () => {
    const whole = zip(sound);
    const end = whole.subarray(-22);
    const wide = Buffer.alloc(56 + 20);
    wide.write('PK\x06\x06', 0, 'latin1');
    wide.writeUInt32LE(sound.length, 24);
    wide.writeUInt32LE(sound.length, 32);
    wide.writeUInt32LE(end.readUInt32LE(12), 40);
    wide.writeUInt32LE(end.readUInt32LE(16), 48);
    wide.write('PK\x06\x07', 56, 'latin1');
    wide.writeUInt32LE(whole.length - 22, 64);
    const saturated = Buffer.concat([end.subarray(0, 8), Buffer.alloc(12, 0xff), Buffer.alloc(2)]);
    const file = Buffer.concat([whole.subarray(0, -22), wide, saturated, Buffer.from('tail')]);
    expect(elements(await parseCheckpoint(file))).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test('two archives, one after the other, are neither', async () => {
    const bytes = Buffer.concat([zip(sound), zip([...sound, { name: 'a/x', data: SIX }])]);
    await expectReject(parseCheckpoint(bytes), 'ERR_FILE_FORMAT', /not a valid zip/);
  });

  test('a record whose parts end within an element', async () => {
    // Noise of three bytes in four, so that its compressed bytes are several parts of uneven length.
    let seed = 3;
    const numbers = Int32Array.from({ length: 900_000 }, () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
      return seed >>> 8;
    });
    const numel = numbers.length;
    const value = dict({ w: tensor({ type: 'IntStorage', numel, shape: [numel], strides: [1] }) });
    const bytes = Buffer.from(numbers.slice().buffer).swap32();
    const file = zip([
      { ...data, data: pickle(value) },
      { name: 'a/byteorder', data: Buffer.from('big') },
      { ...storage, data: bytes, deflate: true },
    ]);
    const { w } = await parseCheckpoint(file);
    expect(Buffer.compare(Buffer.from(w?.data.buffer as ArrayBuffer), Buffer.from(numbers.buffer))).toBe(0);
  });

  test('a record of several parts, stored and deflated', async () => {
    const large = new Uint8Array(5_000_001).map((_, i) => i * 7);
    const numel = large.length;
    const value = dict({ w: tensor({ type: 'ByteStorage', numel, shape: [numel], strides: [1] }) });
    for (const deflate of [false, true]) {
      const file = zip([
        { ...data, data: pickle(value) },
        { ...storage, data: large, deflate },
      ]);
      const { w } = await parseCheckpoint(file);
      expect(Buffer.compare(Buffer.from(w?.data as Uint8Array), large)).toBe(0);
    }
  });

  test('a zip bomb is refused before it is inflated', async () => {
    const size = 2 ** 26 + 65_536;
    const bomb = { name: 'a/data/0', data: SIX, deflate: true, declaredSize: size };
    const spec = { numel: size / 4, shape: [1], strides: [1] };
    const file = [{ name: 'a/data.pkl', data: pickle(dict({ w: tensor(spec) })) }, bomb];
    await refused(file, /archive of \d+ bytes expands to over 671\d+ bytes/);
  });

  test.each([0, 1, 21, 22, 100, 2000, 4000])('a checkpoint cut after %d bytes', async (length) => {
    await expectReject(parseCheckpoint(fixture('all.pt').subarray(0, length)), 'ERR_FILE_FORMAT', /./);
  });
});
