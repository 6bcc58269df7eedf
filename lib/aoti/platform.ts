/** Compares what a package was compiled for with the machine that this process runs on. */
import { readFileSync } from 'node:fs';
import { binding } from '../binding';
import { parseCpuFlags } from '../cpu-flags';
import { type Fail, quote } from '../formats/format-error';
import { type ElfLibrary, MACHINES } from './elf';

/** The machine that a package is to run on. Tests pass their own. */
export interface Target {
  platform: string;
  /** Node's name: 'x64', 'arm64'. */
  arch: string;
  /** The processor's features, by the names of /proc/cpuinfo; undefined if they are unknown. */
  flags: () => ReadonlySet<string> | undefined;
}

/** Python's names of machines, by Node's. */
const PYTHON_MACHINES: Readonly<Record<string, readonly string[]>> = {
  x64: ['x86_64', 'amd64'],
  arm64: ['aarch64', 'arm64'],
};

/** The features that AOTInductor's instruction sets stand for. */
const ISA_FLAGS: Readonly<Record<string, readonly string[]>> = {
  AVX2: ['avx2', 'fma', 'f16c'],
  AVX512: ['avx512f', 'avx512dq', 'avx512vl', 'avx512bw', 'fma'],
  AVX512_VNNI: ['avx512_vnni'],
  AMX_TILE: ['amx_tile', 'amx_bf16', 'amx_int8'],
  AMX_FP16: ['amx_fp16'],
  NEON: [],
  ASIMD: ['asimd'],
  SVE: ['sve'],
  SVE128: ['sve'],
  SVE256: ['sve'],
  INVALID_VEC_ISA: [],
};

/** The features of /proc/cpuinfo that the compiler's options allow, where the names differ. */
const OPTION_FLAGS: Readonly<Record<string, string>> = {
  avx512bf16: 'avx512_bf16',
  avx512vnni: 'avx512_vnni',
  avx512fp16: 'avx512_fp16',
  avx512vbmi2: 'avx512_vbmi2',
  avx512bitalg: 'avx512_bitalg',
  avx512vpopcntdq: 'avx512_vpopcntdq',
  avx512vp2intersect: 'avx512_vp2intersect',
  avxvnni: 'avx_vnni',
};

/** Libraries that every system with libtorch has, or that libtorch brings. */
const KNOWN_LIBRARY =
  /^(?:libtorch|libtorch_cpu|libtorch_cuda|libc10|libc10_cuda)\.so$|^(?:libc|libm|libdl|librt|libpthread|libgcc_s|libstdc\+\+|libgomp(?:-\w+)?|libomp|libiomp5|libatomic|libcuda|libcudart|ld-linux-[\w-]+)\.so(?:\.\d+)*$/;

/** Without /proc, the addon tells the instruction sets that its own kernels may use. */
function flagsFromAddon(): ReadonlySet<string> | undefined {
  const { isas } = binding().cpu();
  const flags = new Set<string>();
  if (isas.includes('avx2')) for (const each of ISA_FLAGS.AVX2 ?? []) flags.add(each);
  if (isas.includes('avx512')) for (const each of ISA_FLAGS.AVX512 ?? []) flags.add(each);
  if (isas.includes('neon')) flags.add('asimd');
  return flags;
}

function cpuFlags(): ReadonlySet<string> | undefined {
  try {
    const flags = parseCpuFlags(readFileSync('/proc/cpuinfo', 'utf8'));
    if (flags.length > 0) return new Set(flags);
  } catch {
    // Not on this system, or this process may not read it.
  }
  return flagsFromAddon();
}

/** The machine of this process. */
export function thisTarget(): Target {
  return { platform: process.platform, arch: process.arch, flags: cpuFlags };
}

/** The features that a package needs: those of its instruction sets, and those that its compiler was allowed to use. */
function neededFlags(
  isa: string | undefined,
  options: readonly string[],
): [name: string, flags: readonly string[]][] {
  const names = (isa ?? '').split(/\s+/).filter((name) => name !== '');
  return [
    ...names.map((name): [string, readonly string[]] => [name, ISA_FLAGS[name] ?? [name.toLowerCase()]]),
    ...options.map((option): [string, readonly string[]] => [
      `-m${option}`,
      [OPTION_FLAGS[option] ?? option.replaceAll('-', '_')],
    ]),
  ];
}

/**
 * Demands the package's platform, machine and instruction sets of the target.
 *
 * @param metadata - wrapper_metadata.json
 * @param options - the compiler's options: see compilerFlags
 * @throws errors of `fail`
 */
export function demandPlatform(
  metadata: Readonly<Record<string, string>>,
  options: readonly string[],
  target: Target,
  fail: Fail,
): void {
  const { AOTI_PLATFORM: platform, AOTI_MACHINE: machine, AOTI_CPU_ISA: isa } = metadata;
  const again = 'Export it again on such a machine';
  if (platform !== undefined && platform !== target.platform)
    throw fail(`it was compiled for ${quote(platform)}, and this system is ${target.platform}. ${again}`);
  if (machine !== undefined && !(PYTHON_MACHINES[target.arch] ?? []).includes(machine.toLowerCase()))
    throw fail(`it was compiled for the machine ${quote(machine)}, and this one is ${target.arch}. ${again}`);
  const needed = neededFlags(isa, options);
  if (needed.length === 0) return;
  const flags = target.flags();
  if (flags === undefined) return;
  const missing = needed.find(([, each]) => each.some((flag) => !flags.has(flag)));
  if (missing === undefined) return;
  throw fail(
    `it was compiled for processors with ${quote(missing[0])}, which this one does not have. Export it on a machine like this one, or with --cpu (tokenlearner export-script)`,
  );
}

/** Demands a library for this machine that needs no other libraries than those that are there. Throws errors of `fail`. */
export function demandLibrary({ machine, needed }: ElfLibrary, target: Target, fail: Fail): void {
  const expected = MACHINES[target.arch];
  if (machine !== expected)
    throw fail(
      `its library is for the machine ${machine} of ELF, and ${target.arch} is ${expected ?? 'unknown'}`,
    );
  const stranger = needed.find((name) => !KNOWN_LIBRARY.test(name));
  if (stranger !== undefined)
    throw fail(
      `its library needs ${quote(stranger)}. Only the libraries of libtorch, CUDA and the C and C++ runtimes are allowed: export it without custom libraries`,
    );
}

/** A compute capability as a number: 90 for '9.0', 90 and '90'. Undefined for '' and 'None'. */
export function capabilityNumber(text: string | undefined): number | undefined {
  const match = /^(\d+)(?:\.(\d))?$/.exec(text ?? '');
  if (match?.[1] === undefined) return undefined;
  const value = match[2] === undefined ? Number(match[1]) : Number(match[1]) * 10 + Number(match[2]);
  return value > 0 && value < 10_000 ? value : undefined;
}

/**
 * Demands that a GPU runs a package's kernels: those for the same major compute capability and at most its minor one, unless the package has
 * kernels for several.
 *
 * @param available - for example '9.0'
 * @throws errors of `fail`
 */
export function demandCapability(
  compiled: number | undefined,
  available: string,
  isPortable: boolean,
  fail: Fail,
): void {
  const there = capabilityNumber(available);
  if (compiled === undefined || there === undefined) return;
  const isSame = Math.floor(compiled / 10) === Math.floor(there / 10);
  if (compiled <= there && (isSame || isPortable)) return;
  const dotted = (value: number) => `${Math.floor(value / 10)}.${value % 10}`;
  throw fail(
    `its kernels are for GPUs of compute capability ${dotted(compiled)}, and this one has ${dotted(there)}. Export it on such a GPU`,
  );
}
