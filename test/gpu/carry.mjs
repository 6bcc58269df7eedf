/**
 * `npm run gpu:carry`: one folder with all that the GPU checks need, for a machine that has a GPU, CUDA and Python with torch, but no
 * Node, no npm and no network. It builds what is out of date, with CUDA kernels, so it needs nvcc. CONTRIBUTING.md has the recipe.
 *
 *     node test/gpu/carry.mjs [--output FOLDER]
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { buildTargets, cmakeFolder, ensureNative } from '../../scripts/build-native.mjs';
import { ensureTypeScript } from '../../scripts/build-ts.mjs';
import { foreignLibraries } from '../../scripts/check-binary.mjs';
import { ensureDependencies } from '../../scripts/dependencies.mjs';
import { ensureLibtorch } from '../../scripts/libtorch.mjs';
import {
  commandLine,
  isMain,
  main,
  root,
  run,
  runtimePackages,
  say,
  SetupError,
} from '../../scripts/tools.mjs';
import { describeCommit } from '../bench/machine.mjs';

/** Bytes that the folder may have. */
export const LIMIT = 64e6;

/** Compute capabilities that the CUDA kernels must have code for. */
const ARCHITECTURES = ['80', '90a'];

const PROGRAMS = ['cuda-gpu-kernels', 'bench-gpu-kernels'];
/** Opened by a process of faults.mjs that is to lose its device. */
const LIBRARY = 'cuda-trap';
const PROGRAM_FOLDER = path.join(cmakeFolder, 'test', 'native', 'kernels', 'cuda');
const ADDON = path.join('build', 'Release', 'tokenlearner.node');

const FILES = [
  'package.json',
  'dist',
  ADDON,
  'python/export.py',
  'packages/server/package.json',
  'packages/server/dist',
  'packages/server/proto',
  'scripts/python-env.mjs',
  'scripts/tools.mjs',
  'test/bench/install-peers.mjs',
  'test/bench/machine.mjs',
  'test/bench/serve',
  'test/bench/statistics.mjs',
  'test/bench/workloads.json',
  'test/bench/workloads.mjs',
  'test/bench/family.json',
  'test/fixtures/generate/reference.py',
  'test/gpu',
];

/** The load generator's HTTP client. */
const CLIENT = 'node_modules/undici';

/** run.sh's commands. */
const COMMANDS = [
  [
    'a',
    'right: the kernels alone and under compute-sanitizer, parity, faults, the server, compiled programs',
  ],
  ['b', "fast: the kernels, the batcher, the server, the bench against PyTorch eager and cuBLAS's product"],
  ['c', 'the bench against torch.compile, for a few workloads'],
];

/** Throws when the addon's CUDA kernels are missing or lack an architecture. `addon` is runtime.info()'s. */
export function demandKernels(addon) {
  if (addon?.cuda !== true) {
    throw new SetupError(
      'The addon has no CUDA kernels: it needs nvcc, and TOKENLEARNER_CUDA must not be OFF',
    );
  }
  const built = addon.cudaArchitectures.split(/[,;]/).map((name) => name.replace(/-(?:real|virtual)$/, ''));
  const missing = ARCHITECTURES.filter((name) => !built.includes(name));
  if (missing.length === 0) return;
  throw new SetupError(
    `The CUDA kernels lack the architecture ${missing.join(' and ')}: they are built for ${built.join(', ')}`,
  );
}

/** The bytes of all files under a folder. */
export function sizeOf(folder) {
  return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const name = path.join(folder, entry.name);
    return sum + (entry.isDirectory() ? sizeOf(name) : statSync(name).size);
  }, 0);
}

/** Throws when a folder is larger than `limit` bytes, with its largest parts. */
export function demandSize(folder, limit = LIMIT) {
  const size = sizeOf(folder);
  if (size <= limit) return size;
  const parts = readdirSync(folder, { withFileTypes: true })
    .map((entry) => {
      const name = path.join(folder, entry.name);
      return { name: entry.name, bytes: entry.isDirectory() ? sizeOf(name) : statSync(name).size };
    })
    .sort((a, b) => b.bytes - a.bytes);
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  const largest = parts.slice(0, 3).map(({ name, bytes }) => `${name} ${megabytes(bytes)}`);
  throw new SetupError(
    `The folder has ${megabytes(size)} of ${megabytes(limit)} allowed (${largest.join(', ')}). ` +
      'Build for fewer architectures: CUDAARCHS="80-real;90a-real"',
  );
}

async function build() {
  ensureDependencies();
  await ensureTypeScript();
  process.env.TOKENLEARNER_CUDA ??= 'ON';
  ensureNative(await ensureLibtorch());
  demandKernels(createRequire(import.meta.url)(path.join(root, 'dist', 'index.js')).runtime.info().addon);
  buildTargets(cmakeFolder, [...PROGRAMS, LIBRARY]);
}

/** Packs files and folders of one folder. */
function pack(archive, folder, names) {
  run('tar', ['--create', '--use-compress-program=xz -6 --threads=0', `--file=${archive}`, ...names], {
    cwd: folder,
  });
}

/** This Node, packed: kept in build/gpu-node, since it takes a while. */
function packNode(target) {
  const kept = path.join(root, 'build', 'gpu-node', `${process.version}-${process.arch}.tar.xz`);
  if (!existsSync(kept)) {
    say('Packing Node');
    const folder = path.dirname(kept);
    mkdirSync(folder, { recursive: true });
    cpSync(process.execPath, path.join(folder, 'node'), { dereference: true });
    pack(kept, folder, ['node']);
    rmSync(path.join(folder, 'node'));
  }
  cpSync(kept, target);
}

function copyPrograms(folder) {
  for (const name of [...PROGRAMS, `${LIBRARY}.so`]) {
    const program = path.join(PROGRAM_FOLDER, name);
    const foreign = foreignLibraries(program);
    if (foreign.length > 0) throw new SetupError(`${name} needs ${foreign.join(', ')}`);
    cpSync(program, path.join(folder, 'bin', name));
    chmodSync(path.join(folder, 'bin', name), 0o755);
  }
}

/** All files but Node, as they are unpacked. */
function collectFiles(folder) {
  const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  const packages = runtimePackages(lock, ['', 'packages/server', CLIENT]);
  for (const name of [...FILES, ...packages, CLIENT])
    cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
  symlinkSync('..', path.join(folder, 'node_modules', 'tokenlearner'));
  for (const name of ['carry.mjs', 'run.sh', 'tests'])
    rmSync(path.join(folder, 'test', 'gpu', name), { recursive: true, force: true });
  copyPrograms(folder);
}

/** Fills the folder anew. Returns its size in bytes. */
function collect(folder) {
  rmSync(folder, { recursive: true, force: true });
  const files = path.join(folder, 'files');
  mkdirSync(files, { recursive: true });
  collectFiles(files);
  pack(path.join(folder, 'files.tar.xz'), files, readdirSync(files));
  rmSync(files, { recursive: true });
  cpSync(path.join(root, 'test', 'gpu', 'run.sh'), path.join(folder, 'run.sh'));
  chmodSync(path.join(folder, 'run.sh'), 0o755);
  writeFileSync(path.join(folder, 'COMMIT'), `${describeCommit() ?? 'unknown'}\n`);
  packNode(path.join(folder, 'node.tar.xz'));
  return demandSize(folder);
}

if (isMain(import.meta.url)) {
  await main(async () => {
    const { values } = commandLine({ output: { type: 'string' } });
    const folder = path.resolve(values.output ?? path.join(root, 'build', 'gpu-carry'));
    if (process.platform !== 'linux') throw new SetupError('The GPU checks run on Linux: pack them there');
    await build();
    const size = collect(folder);
    const shown = path.relative(process.cwd(), folder) || '.';
    say(
      `${shown}: ${(size / 1e6).toFixed(1)} MB of ${LIMIT / 1e6} MB, commit ${describeCommit() ?? 'unknown'}`,
    );
    say('\nOn the GPU machine, each in less than ten minutes:');
    for (const [letter, text] of COMMANDS) console.log(`bash ${shown}/run.sh ${letter}   # ${text}`);
  });
}
