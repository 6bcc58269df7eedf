import { bytesSource, type ByteSource } from '../../../lib/formats/byte-source';
import { parseFlax, readFlax, readFlaxFrom } from '../../../lib/formats/flax';
import { allocateInJavaScript } from '../../../lib/formats/read-elements';
import { array, bin, extension, integer, list, map, SIX, text } from './msgpack-writer';
import {
  byName,
  describedAll,
  expectedArrays,
  expectReject,
  fixture,
  readable,
  turnsDuring,
} from './support';

test.each(readable('.msgpack'))('%s', async (name) => {
  expect(byName(describedAll(await parseFlax(fixture(name))))).toEqual(byName(expectedArrays(name)));
});

test('from a path', async () => {
  const path = `${__dirname}/../../fixtures/formats/all.msgpack`;
  expect(Object.keys(await readFlax(path))).toContain('params/LayerNorm_0/scale');
});

test('what is no array is left out', async () => {
  const entries = await parseFlax(
    map({
      w: array(),
      text: text('a'),
      bytes: bin(SIX),
      number: integer(3n),
      float: Buffer.from([0xca, 0, 0, 0, 0]),
      nothing: Buffer.from([0xc0]),
      yes: Buffer.from([0xc3]),
      complex: extension(2, Buffer.from([0x92, 1, 2])),
      time: extension(-1, Buffer.alloc(4)),
      empty: map({}),
    }),
  );
  expect(Object.keys(entries)).toEqual(['w']);
});

test('integer keys, lists, and texts in place of bytes, as old msgpack wrote them', async () => {
  const old = extension(1, list(list(integer(1n)), text('uint8'), text('a')));
  const entries = await parseFlax(
    Buffer.concat([Buffer.from([0x82, 0x05]), list(array(), old), text('w'), array()]),
  );
  expect(Object.keys(entries)).toEqual(['5/0', '5/1', 'w']);
  expect(entries['5/1']?.data[0]).toBe(97);
});

test('an array of more bytes than one read, at an odd place', async () => {
  const bytes = new Uint8Array(5_000_004).map((_, i) => i * 7);
  const entries = await parseFlax(map({ w: array({ shape: [1_250_001], bytes }), x: array() }));
  expect(Buffer.compare(Buffer.from(entries.w?.data.buffer as ArrayBuffer), bytes)).toBe(0);
  expect(entries.x?.data[5]).toBe(5);
});

test('arrays that the filter refuses are not read, and may have any dtype', async () => {
  const bytes = map({ skipped: array({ bytes: new Uint8Array(2 ** 20), shape: [2 ** 18] }), x: array() });
  const inner = bytesSource(bytes);
  let read = 0;
  const source: ByteSource = {
    size: inner.size,
    read: (target, position) => {
      read += target.byteLength;
      return inner.read(target, position);
    },
  };
  const options = { filter: (name: string) => name === 'x', allocate: allocateInJavaScript };
  expect(Object.keys(await readFlaxFrom(source, 'w', options))).toEqual(['x']);
  expect(read).toBeLessThan(2 ** 19 + 100);
  const other = readFlaxFrom(bytesSource(fixture('refused-complex64.msgpack')), 'w', options);
  expect(Object.keys(await other)).toEqual(['x']);
});

const chunked = (parts: Record<string, Uint8Array>): Buffer =>
  map({ w: map({ __msgpack_chunked_array__: Buffer.from([0xc3]), ...parts }) });
const sizes = (...values: bigint[]): Buffer =>
  map(Object.fromEntries(values.map((value, i) => [String(i), integer(value)])));

test('the parts of a split array may come in any order', async () => {
  const chunks = map({
    '1': array({ shape: [2], bytes: SIX.subarray(16) }),
    '0': array({ shape: [4], bytes: SIX.subarray(0, 16) }),
  });
  const { w } = await parseFlax(chunked({ chunks, shape: sizes(3n, 2n) }));
  expect(w).toMatchObject({ shape: [3, 2], data: Float32Array.of(0, 1, 2, 3, 4, 5) });
});

test.each<[string, Uint8Array, RegExp]>([
  ['nothing', new Uint8Array(0), /truncated/],
  ['complex64', fixture('refused-complex64.msgpack'), /^w: tensor "w" has dtype complex64.*filter/],
  ['a size of 2^63', fixture('refused-huge.msgpack'), /integers from 0 to 2\^53/],
  ['a size of -1', map({ w: array({ shape: [-1n] }) }), /integers from 0 to 2\^53/],
  ['a size of 2^53', map({ w: array({ shape: [2n ** 53n] }) }), /integers from 0 to 2\^53/],
  [
    'sizes whose product is too large',
    map({ w: array({ shape: [2n ** 40n, 2n ** 40n, 0] }) }),
    /too large a shape/,
  ],
  ['a shape that lies', map({ w: array({ shape: [7] }) }), /takes 28 bytes, the file holds 24/],
  ['a large shape that lies', map({ w: array({ shape: [2n ** 50n] }) }), /the file holds 24/],
  ['65 dimensions', map({ w: array({ shape: Array<number>(65).fill(1) }) }), /65 dimensions/],
  ['one array without a name', fixture('array.msgpack'), /not a map of arrays/],
  ['a number', Buffer.from([5]), /not a map of arrays/],
  ['trailing bytes', Buffer.concat([map({ w: array() }), Buffer.from([0xc0])]), /1 trailing bytes/],
  ['a map that is too long for the file', map({ w: array() }, 2 ** 32 - 1), /must follow/],
  [
    'a list that is too long for the file',
    Buffer.from([0x81, 0xa1, 0x61, 0xdd, 0xff, 0xff, 0xff, 0xff]),
    /must follow/,
  ],
  ['an extension that is too long', map({ w: extension(1, SIX, 2 ** 32 - 1) }), /must follow/],
  [
    'elements that are too long',
    map({ w: extension(1, list(list(), text('uint8'), bin(SIX, 2 ** 31))) }),
    /must follow/,
  ],
  [
    'elements beyond their extension',
    map({ w: extension(1, list(list(integer(24n)), text('uint8'), bin(SIX)), 40), x: array() }),
    /beyond their array/,
  ],
  [
    'an extension with more',
    map({ w: extension(1, Buffer.concat([array().subarray(6), Buffer.from([1])])) }),
    /does not fill/,
  ],
  ['two parts', map({ w: extension(1, list(list(), text('uint8'))) }), /not three parts/],
  [
    'a shape that is none',
    map({ w: extension(1, list(text('a'), text('uint8'), bin(SIX))) }),
    /the shape of an array is missing/,
  ],
  [
    'a dtype that is none',
    map({ w: extension(1, list(list(), integer(1n), bin(SIX))) }),
    /the dtype of an array is missing/,
  ],
  [
    'a dtype of megabytes',
    map({ w: extension(1, list(list(), text('a'.repeat(65_535)), bin(SIX))) }),
    /dtype a{9}/,
  ],
  [
    'a name twice',
    Buffer.concat([Buffer.from([0x82]), text('a'), array(), text('a'), array()]),
    /"a" comes twice/,
  ],
  ['two arrays of one name', map({ a: map({ b: array() }), 'a/b': array() }), /two arrays are named "a\/b"/],
  [
    'a key that is none',
    Buffer.concat([Buffer.from([0x81, 0xc0]), array()]),
    /neither a text nor an integer/,
  ],
  ['a key that is not UTF-8', Buffer.concat([Buffer.from([0x81, 0xa1, 0xff]), array()]), /not valid UTF-8/],
  ['a byte that begins nothing', Buffer.from([0x81, 0xa1, 0x61, 0xc1]), /0xc1 begins no value/],
  ['a split array without chunks', chunked({ shape: sizes(6n) }), /no shape or no chunks/],
  [
    'chunks of several dtypes',
    chunked({ shape: sizes(12n), chunks: map({ '0': array(), '1': array({ dtype: 'int32' }) }) }),
    /different dtypes/,
  ],
  [
    'chunks that are not flat',
    chunked({ shape: sizes(6n), chunks: map({ '0': array({ shape: [2, 3] }) }) }),
    /other than flat arrays/,
  ],
  [
    'chunks with a gap',
    chunked({ shape: sizes(6n), chunks: map({ '1': array() }) }),
    /no shape or no chunks/,
  ],
  [
    'a split array whose shape lies',
    chunked({ shape: sizes(2n ** 60n), chunks: map({ '0': array() }) }),
    /integers from 0 to 2\^53/,
  ],
  [
    'a split array of another size',
    chunked({ shape: sizes(7n), chunks: map({ '0': array() }) }),
    /takes 28 bytes/,
  ],
  [
    'a split array at the top',
    map({ __msgpack_chunked_array__: Buffer.from([0xc3]), shape: sizes(6n), chunks: map({ '0': array() }) }),
    /one array/,
  ],
  [
    'uint64 over 2^63',
    map({ w: array({ dtype: 'uint64', shape: [1], bytes: new Uint8Array(8).fill(255) }) }),
    /does not fit int64/,
  ],
])('%s is refused', async (_, bytes, message) => {
  await expectReject(parseFlax(bytes, 'w'), 'ERR_FILE_FORMAT', message);
});

test('maps and lists that nest deep are refused, not followed', async () => {
  const deep = (open: number[], depth: number): Buffer =>
    Buffer.concat([Buffer.alloc(depth * open.length, Buffer.from(open)), array()]);
  for (const open of [[0x81, 0xa1, 0x61], [0x91]]) {
    await expectReject(parseFlax(deep(open, 1_000_000)), 'ERR_FILE_FORMAT', /nest over 128 deep/);
    expect(Object.keys(await parseFlax(deep(open, 128)))).toHaveLength(1);
  }
});

test('names that repeat a long prefix are bounded by the size of the file', async () => {
  const leaf = array({ shape: [0], bytes: new Uint8Array(0) });
  const leaves = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [String(i), leaf]));
  const bytes = map({ ['a'.repeat(60_000)]: map(leaves) });
  await expectReject(parseFlax(bytes), 'ERR_FILE_FORMAT', /names are too long for a file of its size/);
});

test('over 2^18 values', async () => {
  const bytes = Buffer.concat([Buffer.from([0x81, 0xa1, 0x61, 0xdd, 0, 4, 0, 0]), Buffer.alloc(2 ** 18)]);
  await expectReject(parseFlax(bytes), 'ERR_FILE_FORMAT', /over 262144 values/);
});

test.each([1, 10, 100, 500, -1, -100])('a file cut at byte %d', async (at) => {
  await expectReject(parseFlax(fixture('all.msgpack').subarray(0, at)), 'ERR_FILE_FORMAT', /./);
});

test('the event loop runs meanwhile', async () => {
  const bytes = map(Object.fromEntries(Array.from({ length: 50 }, (_, i) => [String(i), array()])));
  expect(await turnsDuring(() => parseFlax(bytes))).toBeGreaterThan(50);
});
