import { join } from 'node:path';

import type { ArrayEntries } from '../../../lib/formats/array-entry';
import { parseCheckpoint, readCheckpoint } from '../../../lib/formats/checkpoint';
import { dict, none, number, pickle, tensor, text, type TensorSpec } from './pickle-writer';
import { describedAll, expectedArrays, expectReject, fixture, FIXTURES, readable } from './support';
import { zip, type ZipRecord } from './zip';

const path = (name: string): string => join(FIXTURES, name);
const SIX = new Uint8Array(Float32Array.of(0, 1, 2, 3, 4, 5).buffer);

/** The records of a checkpoint with that pickle and one storage of six float32 elements. */
function records(pickled: Uint8Array, data = SIX): ZipRecord[] {
  return [
    { name: 'a/data.pkl', data: pickled },
    { name: 'a/data/0', data },
  ];
}

/** A checkpoint of one tensor `w`. */
function tensorFile(spec: TensorSpec, data = SIX): Uint8Array {
  return zip(records(pickle(dict({ w: tensor(spec) })), data));
}

function elements(entries: ArrayEntries, name = 'w'): unknown[] {
  return Array.from(entries[name]?.data ?? [], (value: number | bigint) => value);
}

describe('checkpoints by PyTorch', () => {
  const named = readable('.pt').filter((name) => name !== 'under-ema.pt');
  test.each(named)('%s', async (name) => {
    const expected = expectedArrays(name);
    const fromFile = await readCheckpoint(path(name));
    const fromBytes = await parseCheckpoint(fixture(name));
    // expected.json is sorted by name; a state dict keeps its own order.
    expect(new Map(describedAll(fromFile))).toEqual(new Map(expected));
    expect(new Map(describedAll(fromBytes))).toEqual(new Map(expected));
    expect(Object.getPrototypeOf(fromFile)).toBeNull();
  });

  test('the option key names the state dict', async () => {
    const expected = new Map(expectedArrays('under-ema.pt'));
    expect(new Map(describedAll(await readCheckpoint(path('under-ema.pt'), { key: 'ema' })))).toEqual(
      expected,
    );
    const message = /choose one with `key`: it has "ema", "optimizer"/;
    await expectReject(readCheckpoint(path('under-ema.pt')), 'ERR_FILE_FORMAT', message);
    await expectReject(
      readCheckpoint(path('under-ema.pt'), { key: 'x' }),
      'ERR_FILE_FORMAT',
      /no key "x"; it has "ema"/,
    );
    await expectReject(
      readCheckpoint(path('under-ema.pt'), { key: 'epoch' }),
      'ERR_FILE_FORMAT',
      /the value of "epoch" is a number and not a state dict/,
    );
    await expectReject(
      readCheckpoint(path('under-ema.pt'), { key: 'optimizer' }),
      'ERR_FILE_FORMAT',
      /its value for "state" is a dict and not a tensor/,
    );
  });

  test('tensors on one storage share memory', async () => {
    const { tied, 'net.0.weight': weight } = await readCheckpoint(path('model.pt'));
    expect(tied?.data.buffer).toBe(weight?.data.buffer);
  });

  test('the order is that of the state dict', async () => {
    const names = Object.keys(await readCheckpoint(path('model.pt')));
    expect(names.slice(0, 3)).toEqual(['tied', 'net.0.weight', 'net.0.bias']);
  });

  test.each<[string, RegExp]>([
    ['int8.pt', /dtype int8, which is not supported/],
    ['tensor.pt', /the checkpoint is a tensor and not a state dict/],
    ['legacy.pt', /legacy format of PyTorch before 1\.6; .*save it again/],
    ['torchscript.pt', /TorchScript/],
    ['all.safetensors', /not a PyTorch checkpoint: it is no zip archive/],
  ])('%s is refused', async (name, message) => {
    await expectReject(readCheckpoint(path(name)), 'ERR_FILE_FORMAT', message);
    await expectReject(readCheckpoint(path(name)), 'ERR_FILE_FORMAT', path(name));
  });

  test('dtypes that are not supported do no harm where nothing reads them', async () => {
    expect(Object.keys(await readCheckpoint(path('int8-beside.pt')))).toEqual(['w']);
  });

  test('a whole module is refused', async () => {
    await expectReject(
      readCheckpoint(path('module.pt')),
      'ERR_UNSAFE_PICKLE',
      'torch.nn.modules.activation.ReLU',
    );
  });

  test('a tar archive is the older legacy format', async () => {
    const tar = Buffer.alloc(1024);
    tar.write('ustar', 257);
    await expectReject(parseCheckpoint(tar), 'ERR_FILE_FORMAT', /legacy format/);
  });
});

describe('tensors and their storages', () => {
  test('a view in the middle', async () => {
    expect(elements(await parseCheckpoint(tensorFile({ offset: 2, shape: [3], strides: [1] })))).toEqual([
      2, 3, 4,
    ]);
  });

  test('a transposed view is brought into C order', async () => {
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
      parseCheckpoint(zip(records(pickle(both)))),
      'ERR_FILE_FORMAT',
      /described in two ways/,
    );
  });
});

describe('which dict is the state dict', () => {
  const one = tensor({ offset: 1, shape: [1], strides: [1] });
  const two = tensor({ offset: 2, shape: [1], strides: [1] });
  const three = tensor({ offset: 3, shape: [1], strides: [1] });
  const at = async (value: Uint8Array): Promise<unknown[]> =>
    elements(await parseCheckpoint(zip(records(pickle(value)))));

  test('the dict itself when it holds tensors alone', async () => {
    expect(await at(dict({ w: one, state_dict: two }))).toEqual([1]);
  });

  test('then state_dict, model_state_dict and model, in this order', async () => {
    const all = {
      model: dict({ w: one }),
      model_state_dict: dict({ w: two }),
      state_dict: dict({ w: three }),
    };
    expect(await at(dict(all))).toEqual([3]);
    expect(await at(dict({ ...all, state_dict: none }))).toEqual([2]);
    expect(await at(dict({ ...all, state_dict: none, model_state_dict: none }))).toEqual([1]);
  });

  test('an empty dict is a state dict', async () => {
    expect(Object.keys(await parseCheckpoint(zip(records(pickle(dict({}))))))).toEqual([]);
  });

  test('keys must be strings', async () => {
    const value = Buffer.concat([Buffer.from('}'), number(1), tensor(), Buffer.from('s')]);
    await expectReject(parseCheckpoint(zip(records(pickle(value)))), 'ERR_FILE_FORMAT', /a number as a key/);
  });
});

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
  test('two data.pkl', () => refused([...sound, { ...data, name: 'b/data.pkl' }], /2 records data\.pkl/));
  test('data.pkl without a folder', () => refused([{ ...data, name: 'data.pkl' }], /0 records data\.pkl/));
  test('a record twice', () => refused([...sound, storage], /"a\/data\/0" twice/));
  test('a name that leaves the folder', () =>
    refused([data, { ...storage, name: 'a/../0' }], /not a valid zip/));
  test('an encrypted record', () => refused([{ ...data, flags: 1 }, storage], /not a valid zip|encrypted/));
  test('another compression', () => refused([{ ...data, method: 12 }, storage], /method 12/));
  test('sizes of a stored record that differ', () =>
    refused([data, { ...storage, declaredSize: 25 }], /mismatch/));
  test('a record beyond the end', () => refused([data, { ...storage, offset: 10_000 }], /not a valid zip/));
  test('a record that is no record', () => refused([data, { ...storage, offset: 1 }], /not a valid zip/));
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

  test('a zip bomb is refused before it is inflated', async () => {
    const size = 2 ** 30 + 8;
    const bomb = { name: 'a/data/0', data: SIX, deflate: true, declaredSize: size };
    const spec = { numel: size / 4, shape: [1], strides: [1] };
    await refused([{ name: 'a/data.pkl', data: pickle(dict({ w: tensor(spec) })) }, bomb], /expands to over/);
  });

  test('a tensor bomb is refused before it is allocated', async () => {
    const spec = { shape: [2 ** 20, 2 ** 20], strides: [0, 0] };
    await refused(records(pickle(dict({ w: tensor(spec) }))), /expands to over/);
  });

  test.each([0, 1, 21, 22, 100, 2000, 4000])('a checkpoint cut after %d bytes', async (length) => {
    await expectReject(parseCheckpoint(fixture('all.pt').subarray(0, length)), 'ERR_FILE_FORMAT', /./);
  });
});

describe('arguments', () => {
  test('of the wrong type', async () => {
    await expectReject(readCheckpoint(null as unknown as string), 'ERR_INVALID_ARG_TYPE', /`path`/);
    await expectReject(readCheckpoint('x', null as unknown as object), 'ERR_INVALID_ARG_TYPE', /`options`/);
    await expectReject(
      readCheckpoint('x', { key: 1 as unknown as string }),
      'ERR_INVALID_ARG_TYPE',
      /`options\.key`/,
    );
    await expectReject(parseCheckpoint('x' as unknown as Uint8Array), 'ERR_INVALID_ARG_TYPE', /`bytes`/);
  });

  test('a missing file', async () => {
    const error = await expectReject(readCheckpoint(path('none.pt')), 'ERR_FILE_FORMAT', path('none.pt'));
    expect(error.cause).toMatchObject({ code: 'ENOENT' });
  });

  test('a folder', async () => {
    await expectReject(readCheckpoint(FIXTURES), 'ERR_FILE_FORMAT', /not a regular file/);
  });

  test('messages quote names from the file', async () => {
    const value = dict({ 'a\nb': text('x') });
    await expectReject(parseCheckpoint(zip(records(pickle(value)))), 'ERR_FILE_FORMAT', String.raw`"a\nb"`);
  });
});
