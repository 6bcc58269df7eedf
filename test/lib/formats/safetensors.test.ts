import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { DTYPES } from '../../../lib/dtype';
import type { ArrayEntries, ArrayEntry } from '../../../lib/formats/array-entry';
import {
  parseSafetensors,
  readSafetensors,
  serializeSafetensors,
  writeSafetensors,
} from '../../../lib/formats/safetensors';
import {
  byName,
  describedAll,
  expectedArrays,
  expectReject,
  expectThrow,
  fixture,
  FIXTURES,
  readable,
  sample,
} from './support';

/** A file with that header and data. */
function file(header: string | Uint8Array, data: number[] = []): Uint8Array {
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Uint8Array.from(data)]);
}

/** A file of one U8 tensor `a` of shape [2], with some of its fields replaced by other JSON. */
function tensorFile(fields: Record<string, string>): Uint8Array {
  const all = { dtype: '"U8"', shape: '[2]', data_offsets: '[0,2]', ...fields };
  const members = Object.entries(all).map(([key, value]) => `"${key}":${value}`);
  return file(`{"a":{${members.join()}}}`, [1, 2]);
}

const A = '"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}';

describe('reading', () => {
  test.each(readable('.safetensors'))('%s gives what the reference library wrote', (name) => {
    expect(byName(describedAll(parseSafetensors(fixture(name)).entries))).toEqual(
      byName(expectedArrays(name)),
    );
  });

  test('metadata', () => {
    const { metadata } = parseSafetensors(fixture('metadata.safetensors'));
    expect(Object.entries(metadata)).toEqual([['format', 'pt\n\u00e9']]);
    expect(Object.getPrototypeOf(metadata)).toBeNull();
  });

  test('no tensors', () => {
    expect(Object.keys(parseSafetensors(fixture('empty.safetensors')).entries)).toEqual([]);
  });

  test('aligned arrays are views on the given bytes', () => {
    const bytes = fixture('all.safetensors');
    const { entries } = parseSafetensors(bytes);
    for (const entry of Object.values(entries)) expect(entry.data.buffer).toBe(bytes.buffer);
  });

  test('bytes at an odd offset are copied, with the same elements', () => {
    const bytes = fixture('all.safetensors');
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    const { entries } = parseSafetensors(shifted.subarray(1));
    expect(byName(describedAll(entries))).toEqual(byName(expectedArrays('all.safetensors')));
  });

  test('any byte but 0 is true in a bool', () => {
    const { entries } = parseSafetensors(
      file('{"a":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}}', [0, 1, 7]),
    );
    expect([...(entries.a?.data ?? [])]).toEqual([0, 1, 1]);
  });

  test('padding and fields that the format does not know are ignored, as in the reference', () => {
    expect(Object.keys(parseSafetensors(file(`{${A}}   `, [1, 2])).entries)).toEqual(['a']);
    expect(Object.keys(parseSafetensors(tensorFile({ more: '[1.5e3,null,{"x":true}]' })).entries)).toEqual([
      'a',
    ]);
  });
});

describe('malformed files', () => {
  const huge = Buffer.alloc(16, 0xff);
  const overLimit = Buffer.alloc(16);
  overLimit.writeBigUInt64LE(100_000_001n);
  const longer = Buffer.alloc(16);
  longer.writeBigUInt64LE(9n);
  const b = (begin: number, end: number, shape = end - begin) =>
    `"b":{"dtype":"U8","shape":[${shape}],"data_offsets":[${begin},${end}]}`;

  test.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(0), /truncated/],
    ['seven bytes', new Uint8Array(7), /truncated/],
    ['a header that is cut off', longer, /truncated/],
    ['a huge length', huge, /over the limit/],
    ['a length over the limit', overLimit, /over the limit of 100000000/],
    ['no header', file(''), /does not begin with/],
    ['a header that is no object', file('[]'), /does not begin with/],
    ['space before the header', file(` {${A}}`, [1, 2]), /does not begin with/],
    ['a byte order mark', file(`\ufeff{${A}}`, [1, 2]), /does not begin with/],
    ['invalid UTF-8', file(Buffer.from(`{"\xff":1}`, 'latin1')), /not valid UTF-8/],
    ['an unterminated object', file(`{${A}`, [1, 2]), /expected '}'/],
    ['an unterminated string', file('{"a'), /unterminated string/],
    ['a bad escape', file(String.raw`{"\x":1}`), /unexpected/],
    ['a lone surrogate', file(String.raw`{"\ud800":1}`), /lone surrogate/],
    ['a control character in a string', file('{"a\n":1}'), /unexpected/],
    ['a comma at the end', file(`{${A},}`, [1, 2]), /expected a key/],
    ['characters after the object', file(`{${A}}\0`, [1, 2]), /trailing characters/],
    ['deep nesting', file(`{"a":${'['.repeat(100_000)}`), /nested too deeply/],
    ['a duplicate name', file(`{${A},${A}}`, [1, 2]), /"a" twice/],
    ['a duplicate name, escaped', file(`{${A},${A.replace('a', String.raw`\u0061`)}}`, [1, 2]), /"a" twice/],
    ['a duplicate field', file('{"a":{"dtype":"U8","dtype":"U8"}}'), /"dtype" twice/],
    ['duplicate metadata', file('{"__metadata__":{"k":"1","k":"2"}}'), /"k" twice/],
    ['metadata that are no object', file('{"__metadata__":null}'), /__metadata__ is not an object/],
    ['metadata that are no strings', file('{"__metadata__":{"k":1}}'), /"k" that is not a string/],
    ['a tensor that is no object', file('{"a":["U8",[2],[0,2]]}', [1, 2]), /not described by an object/],
    ['no dtype', tensorFile({ dtype: 'null' }), /has no dtype/],
    ['dtype I8', tensorFile({ dtype: '"I8"' }), /"I8", which is not supported/],
    ['dtype F8_E4M3', tensorFile({ dtype: '"F8_E4M3"' }), /"F8_E4M3", which is not supported/],
    ['dtype __proto__', tensorFile({ dtype: '"__proto__"' }), /"__proto__", which is not supported/],
    ['the shape missing', tensorFile({ shape: 'null' }), /no shape/],
    ['a shape of fractions', tensorFile({ shape: '[2.0]' }), /no shape/],
    ['a shape of exponents', tensorFile({ shape: '[2e0]' }), /no shape/],
    ['a negative shape', tensorFile({ shape: '[-2]' }), /no shape/],
    ['a shape of strings', tensorFile({ shape: '["2"]' }), /no shape/],
    ['a shape beyond exact integers', tensorFile({ shape: '[9007199254740992]' }), /no shape/],
    ['a shape whose product overflows', tensorFile({ shape: '[94906267,94906267]' }), /too large a shape/],
    ['an overflow before a zero', tensorFile({ shape: '[94906267,94906267,0]' }), /too large a shape/],
    ['bytes that overflow', tensorFile({ dtype: '"F64"', shape: '[4503599627370496]' }), /too large a shape/],
    ['one offset', tensorFile({ data_offsets: '[0]' }), /no data_offsets/],
    ['three offsets', tensorFile({ data_offsets: '[0,2,2]' }), /no data_offsets/],
    ['a negative offset', tensorFile({ data_offsets: '[-1,1]' }), /no data_offsets/],
    ['offsets in the wrong order', tensorFile({ data_offsets: '[2,0]' }), /ends before it begins/],
    ['an end out of range', tensorFile({ data_offsets: '[0,3]' }), /holds 2 bytes of data/],
    [
      'another size than the shape',
      tensorFile({ shape: '[1]' }),
      /2 bytes, but uint8 of shape \[1\] takes 1/,
    ],
    ['overlapping tensors', file(`{${A},${b(1, 3)}}`, [1, 2, 3]), /overlaps/],
    ['the same bytes twice', file(`{${A},${b(0, 2)}}`, [1, 2]), /overlaps/],
    ['a hole', file(`{${A},${b(3, 4)}}`, [1, 2, 3, 4]), /nothing describes the bytes from 2 on/],
    ['an empty tensor within another', file(`{${A},${b(1, 1)}}`, [1, 2]), /overlaps|nothing describes/],
    [
      'a hole at the start',
      tensorFile({ data_offsets: '[1,2]', shape: '[1]' }),
      /nothing describes the bytes from 0/,
    ],
    ['bytes after the last tensor', file(`{${A}}`, [1, 2, 3]), /end at byte 2 of 3/],
    ['data without tensors', file('{}', [1]), /end at byte 0 of 1/],
  ])('%s', (_, bytes, message) => {
    expectThrow(() => parseSafetensors(bytes, 'w.safetensors'), 'ERR_FILE_FORMAT', message);
    expectThrow(() => parseSafetensors(bytes, 'w.safetensors'), 'ERR_FILE_FORMAT', /^w\.safetensors: /);
  });

  test.each([0, 1, 9, 100, 1000])('a file cut after %d bytes', (length) => {
    expectThrow(
      () => parseSafetensors(fixture('all.safetensors').subarray(0, length)),
      'ERR_FILE_FORMAT',
      /./,
    );
  });
});

describe('writing', () => {
  test.each(['all.safetensors', 'metadata.safetensors', 'empty.safetensors'])(
    'gives the bytes of the reference library for %s',
    (name) => {
      const bytes = fixture(name);
      const { entries, metadata } = parseSafetensors(bytes);
      const reversed = Object.fromEntries(Object.entries(entries).reverse());
      Object.setPrototypeOf(reversed, null);
      const written = serializeSafetensors(reversed, name.startsWith('metadata') ? metadata : undefined);
      expect(Buffer.compare(written, bytes)).toBe(0);
    },
  );

  test.each(DTYPES)('%s comes back, of any rank, also empty', (dtype) => {
    const entries: ArrayEntries = {
      a: sample(dtype, [2, 3]),
      b: sample(dtype, []),
      c: sample(dtype, [0, 4]),
    };
    const metadata = { __proto__x: '1', '\n"': '' };
    const back = parseSafetensors(serializeSafetensors(entries, metadata));
    expect(byName(describedAll(back.entries))).toEqual(describedAll(entries));
    expect({ ...back.metadata }).toEqual(metadata);
  });

  test('the name __proto__ is a name like others', () => {
    const entries = Object.create(null) as ArrayEntries;
    entries.__proto__ = sample('uint8', [1]);
    const back = parseSafetensors(serializeSafetensors(entries)).entries;
    expect(Object.keys(back)).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>).dtype).toBeUndefined();
  });

  const ok = sample('uint8', [1]);
  test.each<[string, unknown, unknown, Parameters<typeof expectThrow>[1], RegExp]>([
    ['null', null, undefined, 'ERR_INVALID_ARG_TYPE', /`entries`/],
    ['a Map', new Map([['a', ok]]), undefined, 'ERR_INVALID_ARG_TYPE', /`entries` but received a Map/],
    ['an array', [ok], undefined, 'ERR_INVALID_ARG_TYPE', /`entries`/],
    ['a number as entry', { a: 1 }, undefined, 'ERR_INVALID_ARG_TYPE', /`entries\["a"\]`/],
    ['the reserved name', { __metadata__: ok }, undefined, 'ERR_INVALID_ARG_VALUE', /reserves/],
    ['a lone surrogate', { '\ud800': ok }, undefined, 'ERR_INVALID_ARG_VALUE', /well-formed/],
    ['an unknown dtype', { a: { ...ok, dtype: 'int8' } }, undefined, 'ERR_INVALID_ARG_VALUE', /'int8'/],
    ['a wrong length', { a: { ...ok, shape: [2] } }, undefined, 'ERR_SHAPE_MISMATCH', /Expected 2 elements/],
    ['metadata that are no object', { a: ok }, 'x', 'ERR_INVALID_ARG_TYPE', /`metadata`/],
    ['metadata that are no strings', { a: ok }, { k: 1 }, 'ERR_INVALID_ARG_TYPE', /`metadata\["k"\]`/],
    ['a lone surrogate in metadata', { a: ok }, { k: '\udc00' }, 'ERR_INVALID_ARG_VALUE', /well-formed/],
  ])('refuses %s', (_, entries, metadata, code, message) => {
    const run = () => serializeSafetensors(entries as ArrayEntries, metadata as Record<string, string>);
    expectThrow(run, code, message);
  });

  test('refuses a header over the limit of the format', () => {
    const run = () => serializeSafetensors({}, { k: 'x'.repeat(100_000_001) });
    expectThrow(run, 'ERR_OUT_OF_RANGE', /100000000/);
  });
});

describe('files', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tokenlearner-safetensors-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  test('a round trip leaves one file', async () => {
    const path = join(folder, 'w.safetensors');
    const entries: Record<string, ArrayEntry> = { w: sample('float32', [2, 2]) };
    await writeSafetensors(path, entries, { k: 'v' });
    const back = await readSafetensors(path);
    expect(describedAll(back.entries)).toEqual(describedAll(entries));
    expect({ ...back.metadata }).toEqual({ k: 'v' });
    expect(await readdir(folder)).toEqual(['w.safetensors']);
  });

  test('arrays of a file are aligned views on one buffer', async () => {
    const { entries } = await readSafetensors(join(FIXTURES, 'all.safetensors'));
    expect(new Set(Object.values(entries).map(({ data }) => data.buffer)).size).toBe(1);
  });

  test('bad entries leave an existing file alone', async () => {
    const path = join(folder, 'w.safetensors');
    await writeSafetensors(path, { w: sample('uint8', [1]) });
    const bad = { w: { ...sample('uint8', [1]), shape: [2] } };
    await expectReject(writeSafetensors(path, bad), 'ERR_SHAPE_MISMATCH', /w/);
    expect(Object.keys((await readSafetensors(path)).entries)).toEqual(['w']);
  });

  test('errors name the file', async () => {
    const path = join(FIXTURES, 'scalar.npy');
    await expectReject(readSafetensors(path), 'ERR_FILE_FORMAT', `${path}: `);
    const missing = join(folder, 'none.safetensors');
    const error = await expectReject(readSafetensors(missing), 'ERR_FILE_FORMAT', missing);
    expect(error.cause).toMatchObject({ code: 'ENOENT' });
  });

  test('bytes of another type are refused', () => {
    for (const bytes of [undefined, null, 'x', new ArrayBuffer(8), new Uint16Array(8)]) {
      expectThrow(() => parseSafetensors(bytes as unknown as Uint8Array), 'ERR_INVALID_ARG_TYPE', /`bytes`/);
    }
  });
});
