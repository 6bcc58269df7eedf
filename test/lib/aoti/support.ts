/** Archives as PyTorch writes them, with an ELF library of a few hundred bytes: nothing is compiled, nothing can run. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Target } from '../../../lib/aoti/platform';
import { zip, type ZipRecord } from '../formats/zip';

/** A Linux machine whose processor has AVX2 and no AVX-512. */
export const TARGET: Target = {
  platform: 'linux',
  arch: 'x64',
  flags: () => new Set(['avx2', 'fma', 'f16c']),
};

export const METADATA = {
  AOTI_DEVICE_KEY: 'cpu',
  AOTI_PLATFORM: 'linux',
  AOTI_MACHINE: 'x86_64',
  AOTI_CPU_ISA: 'AVX2',
  AOTI_COMPUTE_CAPABILITY: '',
};

/** What an ELF library is to be like. */
export interface ElfParts {
  needed?: readonly string[];
  /** Names of symbols that others must have. */
  undefined?: readonly string[];
  weak?: readonly string[];
  machine?: number;
  type?: number;
}

const STRINGS_AT = 64 + 2 * 56;

/** Writes a shared library: a header, a loaded segment, the dynamic section, its names and its symbols. */
export function elf(parts: ElfParts = {}): Buffer {
  const {
    needed = ['libtorch_cpu.so', 'libc.so.6'],
    weak = ['__gmon_start__'],
    machine = 62,
    type = 3,
  } = parts;
  const names = [...(parts.undefined ?? ['aoti_torch_get_dim', 'malloc']), ...weak];
  const strings = Buffer.from(`\0${[...needed, ...names].map((name) => `${name}\0`).join('')}`, 'latin1');
  const at = (name: string) => strings.indexOf(`\0${name}\0`, 0, 'latin1') + 1;
  const symbolsAt = STRINGS_AT + strings.length;
  const symbols = Buffer.alloc(24 * (names.length + 1));
  names.forEach((name, i) => {
    symbols.writeUInt32LE(at(name), 24 * (i + 1));
    symbols.writeUInt8((weak.includes(name) ? 2 : 1) << 4, 24 * (i + 1) + 4);
  });
  const hashAt = symbolsAt + symbols.length;
  const hash = Buffer.alloc(16);
  hash.writeUInt32LE(names.length + 1, 4);
  const dynamicAt = hashAt + hash.length;
  const entries = [
    ...needed.map((name) => [1, at(name)]),
    ...[
      [5, STRINGS_AT],
      [10, strings.length],
      [6, symbolsAt],
      [0x6ffffef5, hashAt],
      [0, 0],
    ],
  ];
  const dynamic = Buffer.alloc(16 * entries.length);
  entries.forEach(([tag = 0, value = 0], i) => {
    dynamic.writeBigUInt64LE(BigInt(tag), 16 * i);
    dynamic.writeBigUInt64LE(BigInt(value), 16 * i + 8);
  });
  const size = dynamicAt + dynamic.length;
  const header = Buffer.alloc(64);
  header.write('\x7fELF\x02\x01\x01', 'latin1');
  header.writeUInt16LE(type, 16);
  header.writeUInt16LE(machine, 18);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(2, 56);
  return Buffer.concat([
    header,
    segment(1, 0, size),
    segment(2, dynamicAt, dynamic.length),
    strings,
    symbols,
    hash,
    dynamic,
  ]);
}

function segment(type: number, offset: number, size: number): Buffer {
  const bytes = Buffer.alloc(56);
  bytes.writeUInt32LE(type, 0);
  for (const [at, value] of [
    [8, offset],
    [16, offset],
    [24, offset],
    [32, size],
    [40, size],
  ] as const)
    bytes.writeBigUInt64LE(BigInt(value), at);
  return bytes;
}

/** A model of an archive: file name -> content. */
export type ModelFiles = Record<string, string | Uint8Array>;

/** A sound model, and what is to be different. */
export function model(more: ModelFiles = {}, metadata: object = METADATA): ModelFiles {
  return { 'x.wrapper.so': elf(), 'x.wrapper_metadata.json': JSON.stringify(metadata), ...more };
}

/** The records of an archive, by model. */
export function records(models: Record<string, ModelFiles> = { model: model() }, root = 'p/'): ZipRecord[] {
  const labels = { archive_format: 'pt2', archive_version: '0', byteorder: 'little', '.data/version': '3\n' };
  return [
    ...Object.entries(models).flatMap(([name, files]) =>
      Object.entries(files).map(([file, data]) => ({
        name: `${root}data/aotinductor/${name}/${file}`,
        data: Buffer.from(data),
      })),
    ),
    ...Object.entries(labels).map(([name, text]) => ({ name: root + name, data: Buffer.from(text) })),
  ];
}

/** An archive with one model. */
export function archive(files: ModelFiles = model()): Buffer {
  return zip(records({ model: files }));
}

/** A folder for the files of a test file; removed after its tests. */
export function scratch(): { folder: string; write: (content: Uint8Array, name?: string) => string } {
  const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-aoti-'));
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  let count = 0;
  const write = (content: Uint8Array, name = `${(count += 1)}.pt2`) => {
    const file = path.join(folder, name);
    writeFileSync(file, content);
    return file;
  };
  return { folder, write };
}

/** Uses a folder as the cache of this user in all tests of a file. */
export function useCache(cache: string): void {
  const before = process.env.TOKENLEARNER_CACHE;
  beforeEach(() => {
    process.env.TOKENLEARNER_CACHE = cache;
  });
  afterAll(() => {
    if (before === undefined) delete process.env.TOKENLEARNER_CACHE;
    else process.env.TOKENLEARNER_CACHE = before;
  });
}

/** Matches an error of that code whose message fits. */
export function refused(pattern: RegExp, code = 'ERR_AOTI_PACKAGE'): Error {
  return expect.objectContaining({ code, message: expect.stringMatching(pattern) as string }) as Error;
}

/** The check function of an input and the lines around it, in the form that PyTorch generates. */
export interface WrapperInput {
  dtype?: string;
  /** Sizes; a text is a symbol. */
  shape: readonly (number | string)[];
  strides?: readonly (number | string)[];
  /** Whether the source also asserts sizes and strides. */
  asserted?: boolean;
  bounds?: readonly [number | undefined, number | undefined];
}

function block(index: number): string {
  return `{
        std::stringstream ss;
        ss << "input_handles[${index}]: unmatched value, "
           << "expected: 4, " << "but got: " << 1 << "\\n";
        throw std::runtime_error(std::move(ss).str());
    }`;
}

function rowStrides(shape: readonly (number | string)[]): (number | string)[] {
  return shape.map((_, i) => {
    const inner = shape.slice(i + 1);
    const count = inner.reduce<number>(
      (product, size) => (typeof size === 'number' ? product * size : product),
      1,
    );
    const symbols = inner.filter((size) => typeof size === 'string');
    return symbols.length === 0 ? count : [`${count}L`, ...symbols].join('*');
  });
}

function checkFunction(input: WrapperInput, index: number): string {
  const { dtype = 'float32', shape, strides = rowStrides(shape), bounds = [2, 1024] } = input;
  const v = `arg${index}_1`;
  const sizes = shape.map((size, i) => {
    if (typeof size === 'number') return `if (${size} != ${v}_size[${i}]) ${block(index)}`;
    const [low, high] = bounds;
    return [
      ...(low === undefined ? [] : [`if (${v}_size[${i}] < ${low}) ${block(index)}`]),
      ...(high === undefined ? [] : [`if (${v}_size[${i}] > ${high}) ${block(index)}`]),
    ].join('\n');
  });
  return `AOTI_NOINLINE static void check_input_${index}(
    AtenTensorHandle* input_handles
) {
    ConstantHandle ${v} = ConstantHandle(input_handles[${index}]);
    int32_t ${v}_dtype;
    AOTI_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(${v}, &${v}_dtype));

    int32_t ${v}_expected_dtype = aoti_torch_dtype_${dtype}();
    if (${v}_expected_dtype != ${v}_dtype) ${block(index)}
    auto ${v}_size = ${v}.sizes();
    ${sizes.join('\n')}
    auto ${v}_stride = ${v}.strides();
    ${strides.map((stride, i) => (typeof stride === 'number' ? `if (${stride} != ${v}_stride[${i}]) ${block(index)}` : '')).join('\n')}
    int32_t ${v}_device_type;
    AOTI_TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_type(${v}, &${v}_device_type));

    int32_t ${v}_expected_device_type = 0;
    if (${v}_expected_device_type != ${v}_device_type) ${block(index)}
}
`;
}

/** The parts of a generated source that are read. */
export function wrapperSource(inputs: readonly WrapperInput[]): string {
  const declared = new Set<string>();
  const symbols = inputs.flatMap(({ shape }, index) =>
    shape.flatMap((size, i) => {
      if (typeof size !== 'string' || declared.has(size)) return [];
      declared.add(size);
      return [`    int64_t ${size} = arg${index}_1_size[${i}];`];
    }),
  );
  const list = (values: readonly (number | string)[]) =>
    values.map((each) => (typeof each === 'number' ? `${each}L` : each)).join(', ');
  const asserts = inputs.flatMap(({ shape, strides = rowStrides(shape), asserted = true }, index) =>
    asserted
      ? [
          `    if (_check_aoti_runtime_check_inputs_env()) { assert_size_stride(arg${index}_1, {${list(shape)}}, {${list(strides)}}, "input"); }`,
        ]
      : [],
  );
  return `${inputs.map(checkFunction).join('\n')}
    auto inputs = steal_from_raw_handles_to_raii_handles(input_handles, ${inputs.length});
${symbols.join('\n')}
${asserts.join('\n')}
`;
}
