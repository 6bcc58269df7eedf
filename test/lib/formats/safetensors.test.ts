import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { DTYPES } from '../../../lib/dtype';
import type { ArrayEntries, ArrayEntry } from '../../../lib/formats/array-entry';
import { parseSafetensors, readSafetensors } from '../../../lib/formats/safetensors';
import { serializeSafetensors, writeSafetensors } from '../../../lib/formats/safetensors-write';
import {
  byName,
  describedAll,
  expectedArrays,
  expectReject,
  fixture,
  FIXTURES,
  readable,
  sample,
} from './support';
import { A, file, tensorFile } from './safetensors-file';

describe('reading', () => {
  test.each(readable('.safetensors'))('%s gives what the reference library wrote', async (name) => {
    expect(byName(describedAll((await parseSafetensors(fixture(name))).entries))).toEqual(
      byName(expectedArrays(name)),
    );
  });

  test('metadata', async () => {
    const { metadata } = await parseSafetensors(fixture('metadata.safetensors'));
    expect(Object.entries(metadata)).toEqual([['format', 'pt\n\u00e9']]);
    expect(Object.getPrototypeOf(metadata)).toBeNull();
  });

  test('no tensors', async () => {
    expect(Object.keys((await parseSafetensors(fixture('empty.safetensors'))).entries)).toEqual([]);
  });

  test('arrays are in memory of their own', async () => {
    const bytes = fixture('all.safetensors');
    const { entries } = await parseSafetensors(bytes);
    bytes.fill(0xff);
    expect(byName(describedAll(entries))).toEqual(byName(expectedArrays('all.safetensors')));
  });

  test('bytes at an odd offset give the same elements', async () => {
    const bytes = fixture('all.safetensors');
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    const { entries } = await parseSafetensors(shifted.subarray(1));
    expect(byName(describedAll(entries))).toEqual(byName(expectedArrays('all.safetensors')));
  });

  test('any byte but 0 is true in a bool', async () => {
    const { entries } = await parseSafetensors(
      file('{"a":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}}', [0, 1, 7]),
    );
    expect([...(entries.a?.data ?? [])]).toEqual([0, 1, 1]);
  });

  test('padding and fields that the format does not know are ignored, as in the reference', async () => {
    const padded = await parseSafetensors(file(`{${A}}   `, [1, 2]));
    expect(Object.keys(padded.entries)).toEqual(['a']);
    const more = await parseSafetensors(tensorFile({ more: '[1.5e3,null,{"x":true}]' }));
    expect(Object.keys(more.entries)).toEqual(['a']);
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
    ['a header that is not an object', file('[]'), /does not begin with/],
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
    ['deep nesting', file(`{"a":{"x":${'['.repeat(1000)}`), /nested too deeply/],
    ['101 axes', tensorFile({ shape: `[${'1,'.repeat(100)}2]` }), /no shape of at most 64 integers/],
    ['a huge axis beside a 0', tensorFile({ shape: '[0,9007199254740991,2]' }), /too large a shape/],
    ['half a byte', tensorFile({ dtype: '"F4"', shape: '[3]' }), /F4 of shape \(3,\) takes 1\.5/],
    ['a name over the limit', file(`{"${'n'.repeat(65_537)}":{}}`), /a string of over 65536 bytes/],
    ['a long unknown field', tensorFile({ x: `"${'y'.repeat(65_600)}"` }), /over 65\d\d\d bytes/],
    [
      'many unknown fields',
      tensorFile({ x: `0${',"y":null'.repeat(9000)}` }),
      /described by over 65536 bytes/,
    ],
    ['a long unknown list', tensorFile({ x: `[${'0,'.repeat(40_000)}0]` }), /too long/],
    ['much white space', file(`{${' '.repeat(70_000)}${A}}`, [1, 2]), /over 65536 bytes of white space/],
    ['a duplicate name', file(`{${A},${A}}`, [1, 2]), /"a" twice/],
    ['a duplicate name, escaped', file(`{${A},${A.replace('a', String.raw`\u0061`)}}`, [1, 2]), /"a" twice/],
    ['a duplicate field', file('{"a":{"dtype":"U8","dtype":"U8"}}'), /"dtype" twice/],
    ['duplicate metadata', file('{"__metadata__":{"k":"1","k":"2"}}'), /"k" twice/],
    ['metadata that are not an object', file('{"__metadata__":null}'), /__metadata__ is not an object/],
    ['metadata that are not strings', file('{"__metadata__":{"k":1}}'), /"k" that is not a string/],
    ['a tensor that is not an object', file('{"a":["U8",[2],[0,2]]}', [1, 2]), /not described by an object/],
    ['no dtype', tensorFile({ dtype: 'null' }), /has no dtype/],
    ['dtype F4', tensorFile({ dtype: '"F4"', shape: '[4]' }), /"F4", which is not supported/],
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
      /2 bytes, but uint8 of shape \(1,\) takes 1/,
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
  ])('%s', async (_, bytes, message) => {
    const error = await expectReject(parseSafetensors(bytes, 'w.safetensors'), 'ERR_FILE_FORMAT', message);
    expect(error.message).toMatch(/^w\.safetensors: /);
  });

  test.each([0, 1, 9, 100, 1000])('a file cut after %d bytes', async (length) => {
    const bytes = fixture('all.safetensors').subarray(0, length);
    await expectReject(parseSafetensors(bytes), 'ERR_FILE_FORMAT', /./);
  });
});

describe('writing', () => {
  test.each(['all.safetensors', 'metadata.safetensors', 'empty.safetensors'])(
    'gives the bytes of the reference library for %s',
    async (name) => {
      const bytes = fixture(name);
      const { entries, metadata } = await parseSafetensors(bytes);
      const reversed = Object.fromEntries(Object.entries(entries).reverse());
      Object.setPrototypeOf(reversed, null);
      const written = await serializeSafetensors(
        reversed,
        name.startsWith('metadata') ? metadata : undefined,
      );
      expect(Buffer.compare(written, bytes)).toBe(0);
    },
  );

  test.each(DTYPES)('%s comes back, of any rank, also empty', async (dtype) => {
    const entries: ArrayEntries = {
      a: sample(dtype, [2, 3]),
      b: sample(dtype, []),
      c: sample(dtype, [0, 4]),
    };
    const metadata = { __proto__x: '1', '\n"': '' };
    const back = await parseSafetensors(await serializeSafetensors(entries, metadata));
    expect(byName(describedAll(back.entries))).toEqual(describedAll(entries));
    expect({ ...back.metadata }).toEqual(metadata);
  });

  test('the name __proto__ is a name like others', async () => {
    const entries = Object.create(null) as ArrayEntries;
    entries.__proto__ = sample('uint8', [1]);
    const back = (await parseSafetensors(await serializeSafetensors(entries))).entries;
    expect(Object.keys(back)).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>).dtype).toBeUndefined();
  });

  const ok = sample('uint8', [1]);
  test.each<[string, unknown, unknown, Parameters<typeof expectReject>[1], RegExp]>([
    ['null', null, undefined, 'ERR_INVALID_ARG_TYPE', /`entries`/],
    [
      'a Map',
      new Map([['a', ok]]),
      undefined,
      'ERR_INVALID_ARG_TYPE',
      /`entries` but received an instance of Map/,
    ],
    ['an array', [ok], undefined, 'ERR_INVALID_ARG_TYPE', /`entries`/],
    ['a number as entry', { a: 1 }, undefined, 'ERR_INVALID_ARG_TYPE', /`entries\["a"\]`/],
    ['the reserved name', { __metadata__: ok }, undefined, 'ERR_INVALID_ARG_VALUE', /reserves/],
    ['a lone surrogate', { '\ud800': ok }, undefined, 'ERR_INVALID_ARG_VALUE', /well-formed/],
    ['an unknown dtype', { a: { ...ok, dtype: 'int8' } }, undefined, 'ERR_INVALID_ARG_VALUE', /'int8'/],
    ['a wrong length', { a: { ...ok, shape: [2] } }, undefined, 'ERR_SHAPE_MISMATCH', /Expected 2 elements/],
    ['metadata that are not an object', { a: ok }, 'x', 'ERR_INVALID_ARG_TYPE', /`metadata`/],
    ['metadata that are not strings', { a: ok }, { k: 1 }, 'ERR_INVALID_ARG_TYPE', /`metadata\["k"\]`/],
    ['65 axes', { a: sample('uint8', new Array<number>(65).fill(1)) }, undefined, 'ERR_OUT_OF_RANGE', /65/],
    ['a long name', { ['n'.repeat(65_537)]: ok }, undefined, 'ERR_OUT_OF_RANGE', /at most 65536 bytes/],
    ['long metadata', { a: ok }, { k: 'x'.repeat(4_194_305) }, 'ERR_OUT_OF_RANGE', /at most 4194304 bytes/],
    ['a lone surrogate in metadata', { a: ok }, { k: '\udc00' }, 'ERR_INVALID_ARG_VALUE', /well-formed/],
  ])('refuses %s', async (_, entries, metadata, code, message) => {
    const made = serializeSafetensors(entries as ArrayEntries, metadata as Record<string, string>);
    await expectReject(made, code, message);
  });

  test('refuses a header over the limit of the format', async () => {
    const megabytes = 'x'.repeat(4_000_000);
    const metadata = Object.fromEntries(Array.from({ length: 26 }, (_, i) => [String(i), megabytes]));
    const made = serializeSafetensors({}, metadata);
    await expectReject(made, 'ERR_OUT_OF_RANGE', /header of 100000000 bytes/);
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
    const error = await expectReject(readSafetensors(missing), 'ERR_FILE_IO', missing);
    expect(error.cause).toMatchObject({ code: 'ENOENT' });
  });

  test('bytes of another type are refused', async () => {
    for (const bytes of [undefined, null, 'x', new ArrayBuffer(8), new Uint16Array(8)])
      await expectReject(parseSafetensors(bytes as unknown as Uint8Array), 'ERR_INVALID_ARG_TYPE', /`bytes`/);
  });
});
