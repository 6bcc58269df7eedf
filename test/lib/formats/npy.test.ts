import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type DType, dtypeInfo, DTYPES } from '../../../lib/dtype';
import { parseNpy, readNpy } from '../../../lib/formats/npy';
import { serializeNpy, writeNpy } from '../../../lib/formats/npy-write';
import {
  described,
  expectedArray,
  expectReject,
  expectThrow,
  fixture,
  FIXTURES,
  readable,
  sample,
} from './support';

const FLOAT_PAIR = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";

/** A file of that version with that header and that many zero bytes. */
function file(header: string, dataBytes = 8, version: [number, number] = [1, 0]): Uint8Array {
  const text = Buffer.from(header, version[0] === 3 ? 'utf8' : 'latin1');
  const start = Buffer.alloc(version[0] === 1 ? 10 : 12);
  start.write('\x93NUMPY', 'latin1');
  start.set(version, 6);
  if (version[0] === 1) start.writeUInt16LE(text.length, 8);
  else start.writeUInt32LE(text.length, 8);
  return Buffer.concat([start, text, Buffer.alloc(dataBytes)]);
}

function header(fields: { descr?: string; order?: string; shape?: string }): string {
  const { descr = "'<f4'", order = 'False', shape = '(2,)' } = fields;
  return `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`;
}

describe('reading', () => {
  test.each(readable('.npy'))('%s gives what NumPy wrote', async (name) => {
    expect(described(await parseNpy(fixture(name)))).toEqual(expectedArray(name));
  });

  test.each([
    ['no space at all', header({}).replaceAll(' ', '')],
    ['other order and quotes', `{"shape":(2,),"fortran_order":False,"descr":"<f4"}`],
    ["Python 2's long integers", header({ shape: '(2L,)' })],
    ['the order of this machine', header({ descr: "'=f4'" })],
  ])('accepts %s', async (_, text) => {
    expect(await parseNpy(file(text))).toMatchObject({ dtype: 'float32', shape: [2] });
  });

  test.each<[DType, string[]]>([
    ['float16', ['f2', '=f2', 'e', '<e', 'float16']],
    ['float32', ['f4', '|f4', '=f4', 'f', '<f', 'float32']],
    ['float64', ['f8', '=f8', 'd', '<d', 'float64']],
    ['int32', ['i4', '=i4', 'i', '<i', 'int32']],
    ['int64', ['i8', '=i8', 'q', '<q', 'l', '<l', 'int64']],
    ['uint8', ['u1', '<u1', '>u1', '|u1', '=u1', 'B', '|B', 'uint8']],
    ['bool', ['b1', '<b1', '|b1', '?', '|?', '<?', 'bool']],
  ])("takes NumPy's spellings of %s", async (dtype, spellings) => {
    for (const descr of spellings) {
      const bytes = file(header({ descr: `'${descr}'` }), 2 * dtypeInfo(dtype).itemSize);
      expect([descr, (await parseNpy(bytes)).dtype]).toEqual([descr, dtype]);
    }
  });

  test.each(['>f4', '>f'])('%s is big-endian', async (descr) => {
    const bytes = file(header({ descr: `'${descr}'`, shape: '(1,)' }), 4);
    bytes.set([0x3f, 0x80, 0, 0], bytes.length - 4);
    expect([...(await parseNpy(bytes)).data]).toEqual([1]);
  });

  test('Fortran order in several reads, of any rank', async () => {
    // Over 2^17 elements of 4 bytes, the most that one read takes; each element is its own C-order position.
    const shape = [7, 11, 1, 13, 199];
    const count = 7 * 11 * 13 * 199;
    const start = file(header({ descr: "'<i4'", order: 'True', shape: `(${shape.join(', ')})` }), 0);
    const elements = new Int32Array(count);
    let at = 0;
    for (let l = 0; l < 199; l += 1)
      for (let k = 0; k < 13; k += 1)
        for (let j = 0; j < 11; j += 1)
          for (let i = 0; i < 7; i += 1) elements[at++] = ((i * 11 + j) * 13 + k) * 199 + l;
    const { data } = await parseNpy(Buffer.concat([start, new Uint8Array(elements.buffer)]));
    expect(data.every((value, position) => value === position)).toBe(true);
  });
});

describe('malformed files', () => {
  test.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(0), /not an npy file/],
    ['a zip archive', Buffer.from('PK\x03\x04 and so on'), /not an npy file/],
    ['version 0', file(FLOAT_PAIR, 8, [0, 0]), /version 0\.0 is not supported/],
    ['version 1.1', file(FLOAT_PAIR, 8, [1, 1]), /version 1\.1 is not supported/],
    ['version 4', file(FLOAT_PAIR, 8, [4, 0]), /version 4\.0 is not supported/],
    ['a cut length', file('', 0, [2, 0]).subarray(0, 11), /truncated/],
    ['a cut header', file(FLOAT_PAIR).subarray(0, 40), /truncated/],
    ['a header over the limit', file(FLOAT_PAIR.padEnd(10_001)), /over the limit of 10000/],
    [
      'invalid UTF-8',
      Buffer.concat([file('', 0, [3, 0]).subarray(0, 8), Buffer.from([1, 0, 0, 0, 0xff])]),
      /UTF-8/,
    ],
    ['cut data', file(FLOAT_PAIR, 7), /truncated: float32 of shape \(2,\) takes 8 bytes, the file holds 7/],
    ['trailing data', file(FLOAT_PAIR, 9), /trailing bytes/],
    ['an empty header', file(''), /expected '{'/],
    ['a call', file(header({ shape: 'f()' })), /expected a literal/],
    ['an expression', file(header({ shape: '(1+1,)' })), /expected '\)'/],
    ['an escape', file(header({ descr: String.raw`'\x3cf4'` })), /expected a literal/],
    ['an unterminated string', file("{'descr"), /expected a literal/],
    ['an unterminated dict', file("{'descr': '<f4'"), /expected '}'/],
    ['a number as key', file('{1: 2}'), /expected a string as key/],
    ['a key twice', file("{'descr': 1, 'descr': 1}"), /'descr' comes twice/],
    ['text after the dict', file(`${FLOAT_PAIR} x`), /trailing characters/],
    ['deep nesting', file(header({ shape: '('.repeat(1000) })), /nested too deeply/],
    ['a key missing', file("{'descr': '<f4', 'shape': (2,)}"), /"descr", "shape" instead of/],
    ['no key', file('{}'), /\(none\) instead of/],
    ['one key more', file(FLOAT_PAIR.replace('{', "{'x': 1, ")), /"x" instead of/],
    ['no boolean order', file(header({ order: '0' })), /fortran_order/],
    ['no string as dtype', file(header({ descr: 'None' })), /no string 'descr'/],
    ['a shape that is a number', file(header({ shape: '(2)' })), /no tuple 'shape'/],
    ['a shape that is a list', file(header({ shape: '[2]' })), /no tuple 'shape'/],
    ['a negative size', file(header({ shape: '(-2,)' })), /integers from 0/],
    ['a size that is a bool', file(header({ shape: '(True, 2)' })), /integers from 0/],
    ['a size beyond exact integers', file(header({ shape: '(9007199254740992,)' })), /integers from 0/],
    ['a shape that overflows', file(header({ shape: '(94906267, 94906267)' })), /too large a shape/],
    ['65 dimensions', file(header({ shape: `(${'1,'.repeat(65)})` })), /65 dimensions/],
    ['two orders', file(header({ descr: "'<>f4'" })), /"<>f4" is not supported \(float16, /],
    ['a huge axis beside a 0', file(header({ shape: '(0, 9007199254740991, 2)' }), 0), /too large a shape/],
    ['the name of a property', file(header({ descr: "'<__proto__'" })), /not supported/],
  ])('%s', async (_, bytes, message) => {
    const error = await expectReject(parseNpy(bytes, 'x.npy'), 'ERR_FILE_FORMAT', message);
    expect(error.message).toMatch(/^x\.npy: /);
  });

  test.each([
    ['i1', 'int8'],
    ['<b', 'int8'],
    ['<i2', 'int16'],
    ['h', 'int16'],
    ['>u2', 'uint16'],
    ['H', 'uint16'],
    ['=u4', 'uint32'],
    ['I', 'uint32'],
    ['<u8', 'uint64'],
    ['<Q', 'uint64'],
    ['L', 'uint64'],
    ['<f16', 'longdouble'],
    ['<c16', 'complex128'],
    ['<M8[ns]', 'datetime64'],
    ['<V2', 'bfloat16'],
  ])('%s is refused as %s', async (descr, name) => {
    const reading = parseNpy(file(header({ descr: `'${descr}'` })));
    await expectReject(reading, 'ERR_FILE_FORMAT', new RegExp(`it is NumPy's .*${name}`));
  });

  test.each([
    ['int8', /"\|i1" is not supported/],
    ['complex64', /"<c8" is not supported/],
    ['object', /"\|O" is not supported/],
    ['text', /"<U1" is not supported/],
    ['structured', /structured dtypes are not supported/],
  ])('NumPy arrays of %s are refused by name', async (name, message) => {
    await expectReject(parseNpy(fixture(`refused-${name}.npy`)), 'ERR_FILE_FORMAT', message);
  });
});

describe('writing', () => {
  const native = readable('.npy').filter((name) => !/big-endian|fortran|version/.test(name));
  test.each(native)('gives the bytes of numpy.save for %s', async (name) => {
    const bytes = fixture(name);
    expect(Buffer.compare(serializeNpy(await parseNpy(bytes)), bytes)).toBe(0);
  });

  test.each(DTYPES.filter((dtype) => dtype !== 'bfloat16'))('%s comes back', async (dtype) => {
    for (const shape of [[], [0], [5], [2, 0, 3], [2, 3, 4]]) {
      const entry = sample(dtype, shape);
      expect(described(await parseNpy(serializeNpy(entry)))).toEqual(described(entry));
    }
  });

  test('refuses bfloat16, which NumPy has no type for', () => {
    expectThrow(() => serializeNpy(sample('bfloat16', [1])), 'ERR_INVALID_ARG_VALUE', /bfloat16/);
  });

  test('refuses more dimensions than NumPy has', () => {
    expectThrow(() => serializeNpy(sample('uint8', new Array<number>(65).fill(1))), 'ERR_OUT_OF_RANGE', /65/);
  });
});

describe('files', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tokenlearner-npy-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  test('a round trip', async () => {
    const path = join(folder, 'x.npy');
    const entry = sample('float32', [2, 3]);
    await writeNpy(path, entry);
    expect(described(await readNpy(path))).toEqual(described(entry));
  });

  test('errors name the file', async () => {
    const path = join(FIXTURES, 'all.safetensors');
    await expectReject(readNpy(path), 'ERR_FILE_FORMAT', `${path}: not an npy file`);
    await expectReject(readNpy(1 as unknown as string), 'ERR_INVALID_ARG_TYPE', /`path`/);
    await expectReject(parseNpy('x' as unknown as Uint8Array), 'ERR_INVALID_ARG_TYPE', /`bytes`/);
  });
});
