import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openAsBlob,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';

import { loadCheckpoint, loadNpy, loadSafetensors, loadWeights, saveSafetensors } from '../../../lib/files';
import type { FileInput } from '../../../lib/files';
import type { StateDict } from '../../../lib/modules/state-dict';
import { type AnyTensor, Tensor } from '../../../lib/tensor/tensor';
import {
  byName,
  expectedArrays,
  expectReject,
  FIXTURES,
  makePipe,
  testPipes,
  turnsDuring,
} from '../formats/support';

const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-load-'));
const file = (name: string): string => path.join(folder, name);
const fixture = (name: string): string => path.join(FIXTURES, name);
afterAll(() => {
  rmSync(folder, { recursive: true });
});
afterEach(() => {
  jest.restoreAllMocks();
});

function write(name: string, content: string | Uint8Array): string {
  writeFileSync(file(name), content);
  return file(name);
}

const hex = ({ data }: AnyTensor): string =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex');

/** Tensors in the form of expected.json. */
function describedTensors(dict: StateDict): unknown {
  return byName(
    Object.entries(dict).map(([name, tensor]): [string, unknown] => [
      name,
      { dtype: tensor.dtype, shape: [...tensor.shape], hex: hex(tensor) },
    ]),
  );
}

describe('loadWeights looks at the content', () => {
  test.each([
    ['all.safetensors', 'weights.pt'],
    ['all.safetensors', 'weights'],
    ['all.safetensors', 'weights.bin'],
    ['all.pt', 'model_best.pth.tar'],
    ['all.pt', 'last.ckpt'],
    ['all.pt', 'MODEL.PT'],
    ['all.pt', 'model.pkl'],
    ['all.pt', 'model.safetensors'],
    ['all.pt', 'model'],
  ])('%s as %s', async (from, name) => {
    copyFileSync(fixture(from), file(name));
    expect(describedTensors(await loadWeights(file(name)))).toEqual(byName(expectedArrays(from)));
  });

  test('key: the entry of a checkpoint', async () => {
    const chosen = await loadWeights(fixture('under-ema.pt'), { key: 'ema' });
    expect(describedTensors(chosen)).toEqual(byName(expectedArrays('under-ema.pt')));
    const asked = loadWeights(fixture('all.safetensors'), { key: 'ema' });
    await expectReject(asked, 'ERR_INVALID_ARG_VALUE', 'Expected no `options.key`');
  });

  test('filter: for each format', async () => {
    for (const name of ['all.safetensors', 'all.pt']) {
      const [[wanted]] = expectedArrays(name) as [[string, unknown]];
      const dict = await loadWeights(fixture(name), { filter: (each) => each === wanted });
      expect(Object.keys(dict)).toEqual([wanted]);
    }
  });
});

describe('every input', () => {
  const inputs = (name: string): [string, () => FileInput | Promise<FileInput>][] => {
    const bytes = readFileSync(fixture(name));
    return [
      ['a path', () => fixture(name)],
      ['a file URL', () => pathToFileURL(fixture(name))],
      ['a Buffer', () => bytes],
      ['a Uint8Array', () => new Uint8Array(bytes)],
      ['an ArrayBuffer', () => new Uint8Array(bytes).buffer],
      ['a Blob', () => new Blob([bytes])],
      ['a Blob of a file', () => openAsBlob(fixture(name))],
      ['a Readable', () => Readable.from([bytes.subarray(0, 20), bytes.subarray(20)])],
      ['a web stream', () => new Blob([bytes]).stream()],
    ];
  };

  test.each(inputs('all.safetensors'))('safetensors from %s', async (_, input) => {
    const expected = byName(expectedArrays('all.safetensors'));
    expect(describedTensors(await loadSafetensors(await input()))).toEqual(expected);
    expect(describedTensors(await loadWeights(await input()))).toEqual(expected);
  });

  test.each(inputs('all.pt'))('a checkpoint from %s', async (_, input) => {
    const expected = byName(expectedArrays('all.pt'));
    expect(describedTensors(await loadCheckpoint(await input()))).toEqual(expected);
    expect(describedTensors(await loadWeights(await input()))).toEqual(expected);
  });

  test.each(inputs('fortran.npy'))('an array from %s', async (_, input) => {
    const { dtype, shape, data } = await loadNpy(await input());
    const expected = await loadNpy(fixture('fortran.npy'));
    expect({ dtype, shape, data }).toEqual({
      dtype: expected.dtype,
      shape: expected.shape,
      data: expected.data,
    });
  });

  test('tensors have memory of their own', async () => {
    const bytes = readFileSync(fixture('all.safetensors'));
    const dict = await loadSafetensors(bytes);
    bytes.fill(0xff);
    expect(describedTensors(dict)).toEqual(byName(expectedArrays('all.safetensors')));
  });
});

describe('another format than was asked for', () => {
  const tar = new Uint8Array(1024);
  tar.set(Buffer.from('ustar'), 257);
  const files: [string, () => string, RegExp][] = [
    ['an empty file', () => write('empty.pt', ''), /empty \(0 bytes\); download or save it again/],
    [
      'a Git LFS pointer',
      () => write('lfs.safetensors', 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n'),
      /Git LFS pointer .*git lfs pull/,
    ],
    ['an HTML page', () => write('page.pt', '<!doctype html><title>Sign in</title>'), /HTML page.*download/],
    ['gzip', () => write('w.pt.gz', gzipSync('x')), /compressed with gzip; decompress it first \(gunzip\)/],
    ['tar', () => write('w.tar', tar), /tar archive; unpack it/],
    ['ONNX', () => write('w.onnx', Buffer.from('\x08\x07\x12\x07pytorch', 'latin1')), /ONNX model; /],
  ];

  test.each(files)('%s is named, with the remedy, by every loader', async (_, make, message) => {
    const name = make();
    for (const load of [loadWeights, loadSafetensors, loadCheckpoint, loadNpy])
      await expectReject(
        load(name),
        'ERR_FILE_FORMAT',
        new RegExp(`${path.basename(name)}: this is.*${message.source}`),
      );
  });

  test.each<[string, (input: string) => Promise<unknown>, string, RegExp]>([
    ['an array as weights', loadWeights, 'float32.npy', /NumPy array .*loadNpy/],
    ['an array as safetensors', loadSafetensors, 'float32.npy', /NumPy array .*loadNpy/],
    ['an array as a checkpoint', loadCheckpoint, 'float32.npy', /NumPy array .*loadNpy/],
    ['a checkpoint as safetensors', loadSafetensors, 'all.pt', /zip archive.*loadCheckpoint/],
    ['safetensors as a checkpoint', loadCheckpoint, 'all.safetensors', /safetensors file.*loadWeights/],
    ['safetensors as an array', loadNpy, 'all.safetensors', /safetensors file.*loadWeights/],
    ['a checkpoint as an array', loadNpy, 'all.pt', /zip archive.*loadWeights/],
    ['a legacy checkpoint', loadWeights, 'legacy.pt', /before 1\.6.*save/],
  ])('%s', async (_, load, name, message) => {
    await expectReject(load(fixture(name)), 'ERR_FILE_FORMAT', message);
  });

  test('a folder, and bytes of no format', async () => {
    await expectReject(loadWeights(folder), 'ERR_FILE_IO', 'a folder; name a file in it');
    const unknown = write('noise', Uint8Array.of(1, 2, 3, 254));
    await expectReject(loadWeights(unknown), 'ERR_FILE_FORMAT', 'neither safetensors, a PyTorch checkpoint,');
    await expectReject(loadNpy(unknown), 'ERR_FILE_FORMAT', 'not an npy file');
  });
});

describe('options', () => {
  const strange: Record<string, unknown>[] = [{ keys: 'ema' }, { Filter: () => true }, { dtype: 'float32' }];
  const loaders = { loadWeights, loadSafetensors, loadCheckpoint, loadNpy };
  test.each(Object.entries(loaders))('%s refuses what it does not know', async (_, load) => {
    for (const options of strange) {
      const [name = ''] = Object.keys(options);
      const loading = load(fixture('all.pt'), options as never);
      await expectReject(loading, 'ERR_INVALID_ARG_VALUE', `for \`options\` but received '${name}'`);
    }
    for (const options of [3, 'ema', [], null])
      await expectReject(load(fixture('all.pt'), options as never), 'ERR_INVALID_ARG_TYPE', '`options`');
  });

  test.each([
    ['a key that is a number', { key: 3 }, '`options.key`'],
    ['a filter that is a list', { filter: ['a'] }, 'a function (name) => boolean for `options.filter`'],
  ])('%s', async (_, options, message) => {
    for (const load of [loadWeights, loadCheckpoint])
      await expectReject(load(fixture('all.pt'), options as never), 'ERR_INVALID_ARG_TYPE', message);
  });

  test('loadSafetensors has no key', async () => {
    const loading = loadSafetensors(fixture('all.safetensors'), { key: 'a' } as never);
    await expectReject(loading, 'ERR_INVALID_ARG_VALUE', "'key'");
  });
});

describe('shards', () => {
  const shards = { 'model-1.safetensors': ['a', 'b'], 'model-2.safetensors': ['c'] };
  const place = file('sharded');
  const index = (name: string, weightMap: Record<string, string>): string => {
    const target = path.join(place, name);
    writeFileSync(target, JSON.stringify({ metadata: { total_size: 12 }, weight_map: weightMap }));
    return target;
  };
  const whole = Object.fromEntries(
    Object.entries(shards).flatMap(([shard, names]) => names.map((name) => [name, shard])),
  );
  beforeAll(async () => {
    mkdirSync(place);
    for (const [shard, names] of Object.entries(shards)) {
      const entries = names.map((name): [string, AnyTensor] => [name, Tensor.full([2], name.charCodeAt(0))]);
      await saveSafetensors(path.join(place, shard), Object.fromEntries(entries));
    }
  });

  test.each([
    ['loadWeights', loadWeights],
    ['loadSafetensors', loadSafetensors],
  ])('%s loads them as one', async (_, load) => {
    const dict = await load(index('model.safetensors.index.json', whole));
    expect(Object.entries(dict).map(([name, { data }]) => [name, data[0]])).toEqual([
      ['a', 97],
      ['b', 98],
      ['c', 99],
    ]);
  });

  test('shards of checkpoints', async () => {
    copyFileSync(fixture('all.pt'), path.join(place, 'pytorch_model-1.bin'));
    const names = expectedArrays('all.pt').map(([name]) => name);
    const weightMap = Object.fromEntries(names.map((name) => [name, 'pytorch_model-1.bin']));
    const mixed = index('pytorch_model.bin.index.json', { ...weightMap, ...whole });
    expect(Object.keys(await loadWeights(mixed)).sort()).toEqual([...names, 'a', 'b', 'c'].sort());
    await expectReject(
      loadSafetensors(mixed),
      'ERR_FILE_FORMAT',
      /pytorch_model-1\.bin: this is a zip archive/,
    );
  });

  test('the filter leaves shards closed', async () => {
    const broken = index('lacking.json', { ...whole, d: 'not-there.safetensors' });
    await expectReject(loadWeights(broken), 'ERR_FILE_IO', 'not-there.safetensors');
    const dict = await loadWeights(broken, { filter: (name) => name === 'c' });
    expect(Object.keys(dict)).toEqual(['c']);
  });

  test('a shard without its tensor, an index as a shard, an index in memory', async () => {
    const lacking = index('lacking.json', { ...whole, d: 'model-2.safetensors' });
    await expectReject(loadWeights(lacking), 'ERR_FILE_FORMAT', /does not hold the tensor "d"/);
    const itself = index('itself.json', { a: 'itself.json' });
    await expectReject(loadWeights(itself), 'ERR_FILE_FORMAT', /itself\.json: this is a JSON document/);
    const bytes = readFileSync(index('memory.json', whole));
    await expectReject(
      loadWeights(bytes),
      'ERR_FILE_FORMAT',
      /the given bytes: .*index of shards .* by its path/,
    );
    const outside = index('outside.json', { a: '../model-1.safetensors' });
    await expectReject(loadWeights(outside), 'ERR_FILE_FORMAT', /not the plain name of a file/);
    await expectReject(
      loadWeights(write('config.json', '{"a": 1}')),
      'ERR_FILE_FORMAT',
      /not an index of shards/,
    );
  });

  test('the event loop turns while an index of many shards is read', async () => {
    const names = Array.from({ length: 3000 }, (_, i) => [`t${i}`, `shard-${i}.safetensors`]);
    const large = index('large.json', Object.fromEntries(names) as Record<string, string>);
    // Four times for each name: when it is read, grouped by shard, given a path, and filtered.
    const reading = () => loadWeights(large, { filter: () => false });
    expect(await turnsDuring(reading)).toBeGreaterThanOrEqual(4 * names.length);
  });

  testPipes('a named pipe as a shard', async () => {
    makePipe(path.join(place, 'pipe.safetensors'));
    const piped = index('piped.json', { a: 'pipe.safetensors' });
    await expectReject(loadWeights(piped), 'ERR_FILE_IO', /pipe\.safetensors: is not a regular file/);
  });

  test('a failed load disposes its tensors', async () => {
    const dispose = jest.spyOn(Tensor.prototype, 'dispose');
    const lacking = index('lacking.json', { ...whole, d: 'not-there.safetensors' });
    await expectReject(loadWeights(lacking), 'ERR_FILE_IO', /not-there/);
    expect(dispose).toHaveBeenCalledTimes(3);
  });
});

testPipes('named pipes do not hold up the other files', async () => {
  const pipes = Array.from({ length: 8 }, (_, i) => makePipe(file(`pipe-${i}`)));
  const loading = pipes.map((pipe) => expectReject(loadWeights(pipe), 'ERR_FILE_IO', 'not a regular file'));
  expect(Object.keys(await loadWeights(fixture('model.pt')))).not.toEqual([]);
  await Promise.all(loading);
});

test('a file of over 4 GiB: each tensor is read by itself', async () => {
  const gibibyte = 2 ** 30;
  const header: Record<string, unknown> = {};
  for (let i = 0; i < 5; i += 1)
    header[`large.${i}`] = {
      dtype: 'U8',
      shape: [gibibyte],
      data_offsets: [i * gibibyte, (i + 1) * gibibyte],
    };
  header.last = { dtype: 'I32', shape: [2], data_offsets: [5 * gibibyte, 5 * gibibyte + 8] };
  const text = JSON.stringify(header).padEnd(1016);
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(1016n);
  const handle = await open(file('large.safetensors'), 'w');
  try {
    // The large tensors are a hole in the file.
    await handle.write(Buffer.concat([start, Buffer.from(text)]), 0, 1024, 0);
    await handle.write(new Int32Array([7, -8]), 0, 8, 1024 + 5 * gibibyte);
  } finally {
    await handle.close();
  }
  const { last } = await loadWeights(file('large.safetensors'), { filter: (name) => name === 'last' });
  expect([...(last?.data as Int32Array)]).toEqual([7, -8]);
});
