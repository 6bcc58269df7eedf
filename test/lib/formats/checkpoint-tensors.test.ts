import { parseCheckpoint } from '../../../lib/formats/checkpoint';
import { checkpoint, elements, SIX, tensorFile } from './checkpoint-writer';
import { dict, pickle, tensor, type TensorSpec } from './pickle-writer';
import { expectReject, fixture } from './support';
import { zip } from './zip';

describe('tensors and their storages', () => {
  test('a view in the middle', async () => {
    expect(elements(await parseCheckpoint(tensorFile({ offset: 2, shape: [3], strides: [1] })))).toEqual([
      2, 3, 4,
    ]);
  });

  test('a transposed view is copied into C order', async () => {
    const entries = await parseCheckpoint(tensorFile({ shape: [3, 2], strides: [1, 3] }));
    expect(elements(entries)).toEqual([0, 3, 1, 4, 2, 5]);
  });

  test('overlapping windows', async () => {
    const entries = await parseCheckpoint(tensorFile({ shape: [4, 3], strides: [1, 1] }));
    expect(elements(entries)).toEqual([0, 1, 2, 1, 2, 3, 2, 3, 4, 3, 4, 5]);
  });

  test('an empty tensor may have any strides', async () => {
    const entries = await parseCheckpoint(tensorFile({ shape: [0, 3], strides: [99, 99] }));
    expect(entries.w).toMatchObject({ shape: [0, 3] });
    expect(elements(entries)).toEqual([]);
  });

  test.each<[string, TensorSpec]>([
    ['an offset too far', { offset: 1 }],
    ['an offset too far for an empty tensor', { offset: 7, shape: [0], strides: [1] }],
    ['a size too large', { shape: [3, 3] }],
    ['a stride too large', { strides: [4, 1] }],
    ['an offset beyond exact integers', { offset: 2 ** 62, shape: [1], strides: [1] }],
    ['a stride beyond exact integers', { shape: [2], strides: [2 ** 62] }],
    ['a product beyond exact integers', { shape: [2 ** 40, 2 ** 40], strides: [2 ** 40, 2 ** 40] }],
    ['an expansion beyond exact integers', { shape: [2 ** 40, 2 ** 40], strides: [0, 0] }],
  ])('%s is refused', async (_, spec) => {
    const message = /lies outside its storage of 6 elements|is not an integer|is not a tuple/;
    await expectReject(parseCheckpoint(tensorFile(spec)), 'ERR_FILE_FORMAT', message);
  });

  test('a storage must have the size that the pickle says', async () => {
    await expectReject(
      parseCheckpoint(tensorFile({ numel: 7 })),
      'ERR_FILE_FORMAT',
      /28 bytes, but its record has 24/,
    );
    await expectReject(parseCheckpoint(tensorFile({ type: 'DoubleStorage' })), 'ERR_FILE_FORMAT', /48 bytes/);
  });

  test('a storage must be there', async () => {
    await expectReject(parseCheckpoint(tensorFile({ key: '../data/0' })), 'ERR_FILE_FORMAT', /no record/);
    await expectReject(parseCheckpoint(tensorFile({ key: '1' })), 'ERR_FILE_FORMAT', /no record "data\/1"/);
  });

  test('a storage has one type', async () => {
    const both = dict({ a: tensor(), b: tensor({ type: 'IntStorage' }) });
    await expectReject(
      parseCheckpoint(checkpoint(both)),
      'ERR_FILE_FORMAT',
      /two contradicting descriptions/,
    );
  });
});

describe('strided tensors that expand', () => {
  test('a tensor bomb is refused before it is allocated', async () => {
    for (const shape of [[2 ** 20, 2 ** 20], [2 ** 28], [2 ** 14, 2 ** 14]])
      await expectReject(
        parseCheckpoint(tensorFile({ shape, strides: shape.map(() => 0) })),
        'ERR_FILE_FORMAT',
        /expands to over 671\d+ bytes, the limit for a file of its size/,
      );
  });

  test('many small ones count together', async () => {
    const spec = { shape: [2 ** 20], strides: [0] };
    const names = Array.from({ length: 20 }, (_, i) => `w${i}`);
    const file = checkpoint(dict(Object.fromEntries(names.map((name) => [name, tensor(spec)]))));
    await expectReject(parseCheckpoint(file), 'ERR_FILE_FORMAT', /expands to over/);
    const some = await parseCheckpoint(file, { filter: (name) => name === 'w3' });
    expect(some.w3?.data).toHaveLength(2 ** 20);
  });

  test('wider dtypes count too', async () => {
    const bytes = new Uint8Array(2 ** 20);
    const spec = { dtype: 'int8', numel: bytes.length, shape: [bytes.length], strides: [1] };
    const names = Array.from({ length: 24 }, (_, i) => `w${i}`);
    const file = checkpoint(dict(Object.fromEntries(names.map((name) => [name, tensor(spec)]))), bytes);
    await expectReject(parseCheckpoint(file), 'ERR_FILE_FORMAT', /expands to over/);
  });
});

describe('dtypes', () => {
  const beside = (other: TensorSpec): Uint8Array =>
    zip([
      { name: 'a/data.pkl', data: pickle(dict({ w: tensor(), other: tensor({ key: '1', ...other }) })) },
      { name: 'a/data/0', data: SIX },
      { name: 'a/data/1', data: SIX },
    ]);

  test.each<[string, TensorSpec, string]>([
    ['complex64', { type: 'ComplexFloatStorage', numel: 3, shape: [3], strides: [1] }, 'complex64'],
    ['an untyped one', { dtype: 'int4', numel: 24, shape: [3], strides: [1] }, 'int4'],
    ['a quantized storage', { type: 'QInt8Storage', numel: 24 }, 'qint8'],
  ])('%s is an error where it is asked for, and nowhere else', async (_, other, name) => {
    const file = beside(other);
    const message = `tensor "other" has dtype ${name}, which is not supported; leave it out with \`filter\``;
    await expectReject(parseCheckpoint(file), 'ERR_FILE_FORMAT', message);
    expect(Object.keys(await parseCheckpoint(file, { filter: (key) => key !== 'other' }))).toEqual(['w']);
  });

  test('an untyped storage in elements of two bytes, a view of it, and of either byte order', async () => {
    const data = Uint8Array.of(1, 0, 2, 0, 0, 3);
    const spec = { dtype: 'uint16', numel: 6, offset: 1, shape: [2], strides: [1] };
    expect(elements(await parseCheckpoint(tensorFile(spec, data)))).toEqual([2, 768]);
    const swapped = tensorFile({ ...spec, strides: [0] }, data);
    expect(elements(await parseCheckpoint(swapped))).toEqual([2, 2]);
    const big = zip([
      { name: 'a/data.pkl', data: pickle(dict({ w: tensor(spec) })) },
      { name: 'a/byteorder', data: Buffer.from('big') },
      { name: 'a/data/0', data },
    ]);
    expect(elements(await parseCheckpoint(big))).toEqual([512, 3]);
  });

  test('a typed storage may be seen as another dtype of the same size', async () => {
    const spec = { dtype: 'uint32', numel: 24, shape: [6], strides: [1] };
    expect(elements(await parseCheckpoint(tensorFile(spec)))).toHaveLength(6);
  });

  test('an untyped storage holds whole elements', async () => {
    const spec = { dtype: 'uint16', numel: 5, shape: [2], strides: [1] };
    await expectReject(
      parseCheckpoint(tensorFile(spec, new Uint8Array(5))),
      'ERR_FILE_FORMAT',
      /5 bytes, which is not a multiple of its elements' 2/,
    );
  });

  test('every byte of a bool but 0 is true', async () => {
    const spec = { type: 'BoolStorage', numel: 4, shape: [4], strides: [1] };
    const entries = await parseCheckpoint(tensorFile(spec, Uint8Array.of(0, 1, 2, 255)));
    expect(elements(entries)).toEqual([0, 1, 1, 1]);
  });
});

/** All kinds of values and tensors that torch.load takes with weights_only, written by PyTorch. */
describe('weights-only.pt', () => {
  const file = fixture('weights-only.pt');
  const load = (name: string) => parseCheckpoint(file, { filter: (key) => key === name });
  const small = [0, 1, -1, 2, -3, 4, 5, -6];

  test.each<[string, string, number[], unknown[]]>([
    ['int8', 'int32', [3], [-128, 0, 127]],
    ['int16', 'int32', [2, 2], [-32768, 2, 1, 32767]],
    ['uint16', 'int32', [3], [0, 1, 65535]],
    ['uint32', 'int64', [2], [0n, 2n ** 32n - 1n]],
    ['uint64', 'int64', [2], [0n, 2n ** 63n - 1n]],
    ['float8_e4m3fn', 'float32', [10], [...small, 448, 2 ** -9]],
    ['float8_e5m2', 'float32', [10], [...small, 57344, Infinity]],
    ['float8_e4m3fnuz', 'float32', [10], [...small, 240, NaN]],
    ['float8_e5m2fnuz', 'float32', [10], [...small, 57344, NaN]],
    ['float8_e8m0fnu', 'float32', [3], [0.25, 1, 2 ** 127]],
    ['attributed', 'float32', [2], [1, 1]],
    ['parameter', 'float32', [2], [0, 1]],
  ])('%s is read as %s', async (name, dtype, shape, values) => {
    const entries = await load(name);
    expect(entries[name]).toMatchObject({ dtype, shape });
    expect(elements(entries, name)).toEqual(values);
  });

  test.each([
    ['complex64', 'has dtype complex64'],
    ['conjugate', 'has conjugate, negative or other metadata'],
    ['negative', 'has conjugate, negative or other metadata'],
    ['sparse_coo', 'is a sparse tensor'],
    ['sparse_csr', 'is a sparse tensor'],
    ['nested', 'is a nested tensor'],
    ['quantized', 'is a quantized tensor of dtype quint8'],
    ['per_channel', 'is a quantized tensor of dtype qint8'],
    ['meta', 'is on the meta device, without elements'],
    ['bits8', 'has dtype bits8'],
    ['float4', 'has dtype float4_e2m1fn_x2'],
  ])('%s is an error of its own', async (name, what) => {
    const message = `tensor "${name}" ${what}, which is not supported; leave it out with \`filter\``;
    await expectReject(load(name), 'ERR_FILE_FORMAT', message);
  });
});
