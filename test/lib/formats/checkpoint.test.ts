import { join } from 'node:path';

import { TokenLearnerError } from '../../../lib/errors';
import { parseCheckpoint, readCheckpoint, readCheckpointFrom } from '../../../lib/formats/checkpoint';
import { checkpoint, elements } from './checkpoint-writer';
import { dict, tensor, text } from './pickle-writer';
import { describedAll, expectedArrays, expectReject, fixture, FIXTURES, readable } from './support';

const path = (name: string): string => join(FIXTURES, name);

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
      /the value of "epoch" is a number, not a state dict/,
    );
    await expectReject(
      readCheckpoint(path('under-ema.pt'), { key: 'optimizer' }),
      'ERR_FILE_FORMAT',
      /its value for "state" is a dict, not a tensor/,
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
    ['tensor.pt', /the checkpoint is a tensor, not a state dict/],
    ['legacy.pt', /legacy format of PyTorch before 1\.6; .*save it again/],
    ['torchscript.pt', /TorchScript/],
    ['all.safetensors', /not a PyTorch checkpoint: it is not a zip archive/],
  ])('%s is refused', async (name, message) => {
    await expectReject(readCheckpoint(path(name)), 'ERR_FILE_FORMAT', message);
    await expectReject(readCheckpoint(path(name)), 'ERR_FILE_FORMAT', path(name));
  });

  test('int8 is read as int32, and only if the filter accepts it', async () => {
    expect(await readCheckpoint(path('int8.pt'))).toMatchObject({ w: { dtype: 'int32', shape: [1] } });
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

describe('arguments', () => {
  test('of the wrong type', async () => {
    await expectReject(readCheckpoint(null as unknown as string), 'ERR_INVALID_ARG_TYPE', /`path`/);
    await expectReject(parseCheckpoint('x' as unknown as Uint8Array), 'ERR_INVALID_ARG_TYPE', /`bytes`/);
  });

  test.each<[string, unknown, string, RegExp]>([
    ['null', null, 'ERR_INVALID_ARG_TYPE', /`options`/],
    ['a key of another type', { key: 1 }, 'ERR_INVALID_ARG_TYPE', /a string for `options\.key`/],
    [
      'a filter of another type',
      { filter: /x/ },
      'ERR_INVALID_ARG_TYPE',
      /a function \(name\) => boolean for `options\.filter`/,
    ],
    ['no key', { key: null }, 'ERR_INVALID_ARG_TYPE', /`options\.key`/],
    [
      'a misspelt option',
      { keys: 'ema' },
      'ERR_INVALID_ARG_VALUE',
      /key, filter for `options` but received 'keys'/,
    ],
  ])('options: %s', async (_, options, code, message) => {
    await expectReject(
      readCheckpoint(path('all.pt'), options as object),
      code as 'ERR_INVALID_ARG_TYPE',
      message,
    );
    await expectReject(
      parseCheckpoint(fixture('all.pt'), options as object),
      code as 'ERR_INVALID_ARG_TYPE',
      message,
    );
  });

  test('undefined stands for no option', async () => {
    const options = { key: undefined, filter: undefined } as object;
    expect(elements(await parseCheckpoint(checkpoint(dict({ w: tensor() })), options))).toHaveLength(6);
  });

  test('a missing file', async () => {
    const error = await expectReject(readCheckpoint(path('none.pt')), 'ERR_FILE_IO', path('none.pt'));
    expect(error.cause).toMatchObject({ code: 'ENOENT' });
  });

  test('a folder', async () => {
    await expectReject(readCheckpoint(FIXTURES), 'ERR_FILE_IO', /not a regular file/);
  });

  test('messages quote names from the file', async () => {
    const value = dict({ 'a\nb': text('x') });
    await expectReject(parseCheckpoint(checkpoint(value)), 'ERR_FILE_FORMAT', String.raw`"a\nb"`);
  });
});

describe('the filter', () => {
  const file = checkpoint(dict({ a: tensor(), b: tensor(), note: text('x'), c: tensor({ key: '9' }) }));

  test('is asked for each tensor once, in order, and keeps the others in the file', async () => {
    const asked: string[] = [];
    const filter = (name: string): boolean => asked.push(name) === 2;
    expect(Object.keys(await parseCheckpoint(file, { filter }))).toEqual(['b']);
    expect(asked).toEqual(['a', 'b', 'c']);
    await expectReject(parseCheckpoint(file), 'ERR_FILE_FORMAT', /no record "data\/9"/);
  });

  test('its own errors pass, from files too', async () => {
    const thrown = new RangeError('mine');
    const filter = (): boolean => {
      throw thrown;
    };
    await expect(parseCheckpoint(file, { filter })).rejects.toBe(thrown);
    await expect(readCheckpoint(path('all.pt'), { filter })).rejects.toBe(thrown);
  });

  test('a result that is not a boolean is an error, also a promise', async () => {
    const filter = (() => Promise.resolve(false)) as unknown as () => boolean;
    await expectReject(parseCheckpoint(file, { filter }), 'ERR_INVALID_ARG_TYPE', /`options\.filter`/);
  });
});

describe('sources', () => {
  test('small reads that follow one another are one read of the source', async () => {
    const bytes = fixture('all.pt');
    const reads: number[] = [];
    const source = {
      size: bytes.length,
      read: (target: Uint8Array, position: number) => {
        reads.push(target.length);
        target.set(bytes.subarray(position, position + target.length));
        return Promise.resolve();
      },
    };
    const entries = await readCheckpointFrom(source, 'all.pt');
    expect(new Map(describedAll(entries))).toEqual(new Map(expectedArrays('all.pt')));
    expect(reads).toEqual([bytes.length]);
  });

  test('a read that fails is the error', async () => {
    const failure = new TokenLearnerError('ERR_FILE_IO', 'gone');
    const source = { size: 1000, read: () => Promise.reject(failure) };
    await expect(readCheckpointFrom(source, 'x.pt')).rejects.toBe(failure);
  });
});
