import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import {
  describeAotiPackage,
  isAotiPackage,
  openAotiPackage,
  versionWithSymbol,
} from '../../../lib/aoti/package';
import { TokenLearnerError } from '../../../lib/errors';
import { zip } from '../formats/zip';
import {
  archive,
  elf,
  METADATA,
  model,
  type ModelFiles,
  records,
  refused,
  scratch,
  TARGET,
  useCache,
  wrapperSource,
} from './support';

const { folder, write } = scratch();
useCache(path.join(folder, 'cache'));

const open = (bytes: Uint8Array, name?: string) => openAotiPackage(write(bytes), { name, target: TARGET });
const openModel = (files: ModelFiles) => open(archive(files));

describe('openAotiPackage', () => {
  it('reads a package', async () => {
    const opened = await openModel(model({ 'x.wrapper.cpp': wrapperSource([{ shape: ['s0', 4] }]) }));
    expect(opened).toMatchObject({
      name: 'model',
      models: ['model'],
      device: 'cpu',
      isa: 'AVX2',
      computeCapability: undefined,
      torchVersion: undefined,
      metadata: METADATA,
      requiredSymbols: ['aoti_torch_get_dim'],
      separateWeights: undefined,
    });
    expect(opened.signature?.inputs).toHaveLength(1);
  });

  it('reads archives without a folder, with another name, and with a library of the old names', async () => {
    const files = { 'a.so': elf(), 'a_metadata.json': JSON.stringify(METADATA), 'a.cpp': '' };
    expect((await open(zip(records({ model: files }, '')))).name).toBe('model');
    expect((await open(zip(records({ net: files }, 'some folder/')))).name).toBe('net');
  });

  it('chooses among several models by name, and lists them', async () => {
    const bytes = zip(records({ first: model(), second: model() }));
    expect((await open(bytes, 'second')).models).toEqual(['first', 'second']);
    await expect(open(bytes)).rejects.toEqual(
      refused(/the models "first", "second": choose one with `name`/),
    );
    await expect(open(bytes, 'third')).rejects.toEqual(refused(/no model "third"; it has "first", "second"/));
  });

  it('describes all models, for whatever machine they are', async () => {
    const foreign = { ...METADATA, AOTI_MACHINE: 'aarch64', AOTI_DEVICE_KEY: 'xpu' };
    const file = write(zip(records({ first: model(), second: model({}, foreign) })));
    expect((await describeAotiPackage(file)).map(({ name, device }) => [name, device])).toEqual([
      ['first', 'cpu'],
      ['second', 'xpu'],
    ]);
    expect(await isAotiPackage(file)).toBe(true);
    expect(await isAotiPackage(write(zip([{ name: 'a/data.pkl', data: Buffer.from('x') }])))).toBe(false);
    expect(await isAotiPackage(path.join(folder, 'missing'))).toBe(false);
  });

  it.each<[string, ModelFiles, RegExp]>([
    ['another platform', model({}, { ...METADATA, AOTI_PLATFORM: 'win32' }), /compiled for "win32"/],
    ['another machine', model({}, { ...METADATA, AOTI_MACHINE: 'aarch64' }), /the machine "aarch64"/],
    ['AVX-512', model({}, { ...METADATA, AOTI_CPU_ISA: 'AVX2 AVX512' }), /processors with "AVX512"/],
    ['VNNI', model({}, { ...METADATA, AOTI_CPU_ISA: 'AVX512_VNNI' }), /processors with "AVX512_VNNI"/],
    ['AMX', model({}, { ...METADATA, AOTI_CPU_ISA: 'AMX_TILE' }), /processors with "AMX_TILE"/],
    [
      'instruction sets of the future',
      model({}, { ...METADATA, AOTI_CPU_ISA: 'AVX10_3' }),
      /processors with "AVX10_3"/,
    ],
    [
      'compiler options',
      model({ 'x.wrapper.cpp': '// Compile cmd\n// g++ -mavx512bf16 x.cpp\n' }),
      /"-mavx512bf16"/,
    ],
    ['another device', model({}, { ...METADATA, AOTI_DEVICE_KEY: 'xpu' }), /the device "xpu"/],
    ['no device', model({}, {}), /does not tell the device/],
    [
      'a library of another machine',
      model({ 'x.wrapper.so': elf({ machine: 183 }) }),
      /the machine 183 of ELF/,
    ],
    [
      'a strange library',
      model({ 'x.wrapper.so': elf({ needed: ['libcustom_ops.so'] }) }),
      /needs "libcustom_ops.so"/,
    ],
    [
      'a library by path',
      model({ 'x.wrapper.so': elf({ needed: ['/x/libc.so.6'] }) }),
      /needs "\/x\/libc.so.6"/,
    ],
    ['no ELF library', model({ 'x.wrapper.so': 'MZ' }), /too short for an ELF file/],
    ['metadata that is no JSON', model({ 'x.wrapper_metadata.json': '{' }), /metadata is not JSON/],
    ['metadata that is a list', model({ 'x.wrapper_metadata.json': '[]' }), /metadata is no object/],
    ['metadata with a number', model({ 'x.wrapper_metadata.json': '{"a":1}' }), /has "a", which is no text/],
    ['no metadata', { 'x.wrapper.so': elf() }, /has no metadata/],
    ['source alone', { 'x.wrapper.cpp': '' }, /without package_cpp_only/],
    ['a library for Windows', { 'x.dll': '' }, /for Windows/],
    ['no library', { 'x.json': '{}' }, /no compiled library/],
    ['two libraries', model({ 'y.wrapper.so': elf() }), /several libraries/],
    ['a file in a folder', model({ 'deep/x.so': '' }), /no simple file name/],
    ['a hidden file', model({ '.x.so': '' }), /no simple file name/],
    [
      'a list of weights that is malformed',
      model({ 'weights_config.json': '{"a":[1]}' }),
      /"a" in an unknown form/,
    ],
    [
      'a list of weights with a path',
      model({ 'weights_config.json': '{"a":["../x",[1],[1],0]}' }),
      /"a" in an unknown form/,
    ],
  ])('refuses a package with %s', async (_, files, message) => {
    await expect(openModel(files)).rejects.toEqual(refused(message));
  });

  it.each([
    ['checkpoint', [{ name: 'a/data.pkl', data: Buffer.from('x') }], /it is a checkpoint/],
    [
      'TorchScript program',
      [{ name: 'a/constants.pkl', data: Buffer.from('x') }],
      /it is a TorchScript program/,
    ],
    ['exported program', [{ name: 'a/models/model.json', data: Buffer.from('{}') }], /which is not compiled/],
    ['other archive', [{ name: 'a.txt', data: Buffer.from('x') }], /without a model/],
  ])('names a %s', async (_, content, message) => {
    await expect(open(zip(content))).rejects.toEqual(refused(message));
  });

  it('names a file that is no archive', async () => {
    await expect(open(Buffer.from('<!doctype html><html>'))).rejects.toEqual(refused(/an HTML page/));
    await expect(open(Buffer.alloc(0))).rejects.toEqual(refused(/empty/));
    await expect(openAotiPackage(path.join(folder, 'missing.pt2'))).rejects.toMatchObject({
      code: 'ERR_FILE_IO',
    });
    await expect(openAotiPackage('')).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    await expect(openAotiPackage(5 as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  });

  it.each([
    ['archive_format', 'pte', /format is "pte"/],
    ['archive_version', '1', /version "1"/],
    ['byteorder', 'big', /byte order is "big"/],
    ['archive_version', 'x'.repeat(1000), /version "\?"/],
  ])('refuses an archive whose %s is %s', async (label, text, message) => {
    const content = records().map((each) =>
      each.name === `p/${label}` ? { ...each, data: Buffer.from(text) } : each,
    );
    await expect(open(zip(content))).rejects.toEqual(refused(message));
  });

  it('refuses models in different folders', async () => {
    const bytes = zip([...records(), ...records({ other: model() }, 'q/')]);
    await expect(open(bytes)).rejects.toEqual(refused(/different folders/));
    const mixed = zip([...records(), { name: 'q/data/aotinductor/model/y.json', data: Buffer.from('') }]);
    await expect(open(mixed)).rejects.toEqual(refused(/another folder than the others/));
  });

  it('refuses hostile archives', async () => {
    const [first, ...rest] = records();
    if (first === undefined) throw new Error('no records');
    const hostile = [
      [first, ...rest, { ...first }],
      [{ ...first, name: 'p/data/aotinductor/model/../../../x.so' }, ...rest],
      [{ ...first, declaredSize: first.data.length + 1 }, ...rest],
      [{ ...first, flags: 1 }, ...rest],
      [{ ...first, method: 12 }, ...rest],
      [{ ...first, offset: 1e9 }, ...rest],
    ];
    for (const content of hostile)
      await expect(open(zip(content))).rejects.toMatchObject({ code: 'ERR_FILE_FORMAT' });
  });

  it('refuses a zip bomb without expanding it', async () => {
    const bomb = {
      name: 'p/data/aotinductor/model/x.wrapper.cpp',
      data: Buffer.alloc(2 ** 27),
      deflate: true,
    };
    await expect(open(zip([...records(), bomb]))).rejects.toEqual(
      refused(/expands to over/, 'ERR_FILE_FORMAT'),
    );
    const long = {
      name: 'p/data/aotinductor/model/x.wrapper.cpp',
      data: Buffer.alloc(9),
      declaredSize: 2 ** 28,
      deflate: true,
    };
    await expect(open(zip([...records(), long]))).rejects.toEqual(refused(/over the limit/));
  });

  it('takes what our export script writes, and refuses it where the source says something else', async () => {
    const entry = (changes: object = {}) => ({
      version: 1,
      torch: '2.13.0',
      inputs: [{ name: 'x', dtype: 'float32', shape: [{ name: 'batch', min: 1, max: 64 }, 4] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: [{ name: 'batch', min: 1, max: null }, 2] }],
      ...changes,
    });
    const withEntry = (value: unknown, source = wrapperSource([{ shape: ['s0', 4] }])) =>
      openModel(model({ 'x.wrapper.cpp': source }, { ...METADATA, tokenlearner: JSON.stringify(value) }));
    const opened = await withEntry(entry());
    expect([opened.torchVersion, opened.signature]).toEqual([
      '2.13.0',
      {
        source: 'metadata',
        inputs: [{ name: 'x', dtype: 'float32', shape: [{ name: 'batch', min: 1, max: 64 }, 4] }],
        outputs: [{ name: 'y', dtype: 'float32', shape: [{ name: 'batch', min: 1, max: undefined }, 2] }],
      },
    ]);
    for (const source of [
      wrapperSource([{ shape: ['s0', 5] }]),
      wrapperSource([{ shape: [2, 4] }]),
      wrapperSource([{ shape: ['s0', 4], dtype: 'int64' }]),
      wrapperSource([{ shape: ['s0', 4] }, { shape: ['s0', 4] }]),
      wrapperSource([{ shape: ['s0', 4, 1] }]),
    ])
      await expect(withEntry(entry(), source)).rejects.toEqual(refused(/describes another program/));
    await expect(withEntry(entry({ version: 2 }))).rejects.toEqual(refused(/has the version "2"/));
    for (const bad of [
      [],
      entry({ inputs: 5 }),
      entry({ inputs: [{ name: '', dtype: 'float32', shape: [] }] }),
      entry({ inputs: [{ name: 'x', dtype: 'f32; rm', shape: [] }] }),
      entry({ inputs: [{ name: 'x', dtype: 'float32', shape: [-1] }] }),
      entry({ inputs: [{ name: 'x', dtype: 'float32', shape: [{ min: 4, max: 2 }] }] }),
      entry({ inputs: [{ name: 'x', dtype: 'float32', shape: [2], order: [1] }] }),
      entry({
        inputs: [
          { name: 'x', dtype: 'float32', shape: [] },
          { name: 'x', dtype: 'float32', shape: [] },
        ],
      }),
      entry({ outputs: [5] }),
    ])
      await expect(withEntry(bad)).rejects.toEqual(refused(/is malformed/));
  });

  it('demands a GPU that runs the kernels', async () => {
    const metadata = { ...METADATA, AOTI_DEVICE_KEY: 'cuda', AOTI_COMPUTE_CAPABILITY: '86' };
    const opened = await openModel(model({}, metadata));
    expect(opened.computeCapability).toBe(86);
    expect(() => {
      opened.demandCapability('8.9');
    }).not.toThrow();
    for (const other of ['8.0', '7.5', '9.0', '12.0'])
      expect(() => {
        opened.demandCapability(other);
      }).toThrow(refused(/of compute capability 8.6, and this one has/));
    const portable = await openModel(model({ 'k.fatbin': 'x' }, metadata));
    expect(() => {
      portable.demandCapability('9.0');
    }).not.toThrow();
  });
});

test('every truncation is a typed error, and so is every flipped byte or no change at all', async () => {
  const files = model({ 'x.wrapper.cpp': wrapperSource([{ shape: ['s0', 4] }]) });
  const whole = archive(files);
  const run = async (bytes: Uint8Array): Promise<unknown> => {
    const file = write(bytes, 'damaged.pt2');
    return openAotiPackage(file, { target: TARGET }).then((opened) => opened.extract());
  };
  for (let i = 0; i < 200; i += 1)
    await expect(run(whole.subarray(0, Math.floor((whole.length * i) / 200)))).rejects.toBeInstanceOf(
      TokenLearnerError,
    );
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ change;
      const outcome = await run(bytes).catch((error: unknown) => error);
      if (outcome instanceof TokenLearnerError) return;
      const { library } = outcome as { library: string };
      expect(readFileSync(library).equals(files['x.wrapper.so'] as Buffer)).toBe(true);
    }),
    { numRuns: 400 },
  );
});

test('versionWithSymbol knows functions that are newer than the oldest libtorch', () => {
  expect(versionWithSymbol('aoti_torch_get_dim')).toBeUndefined();
  expect(versionWithSymbol('aoti_torch_cpu__grouped_mm')).toBe('2.12');
  expect(versionWithSymbol('torch_exception_get_what')).toBe('2.13');
  expect(versionWithSymbol('torch_has_storage')).toBe('2.14');
});
