/**
 * Builds the native addon, and its tests if asked. cmake-js configures CMake in build/cmake; Ninja or make decide there what is out of date.
 * The addon is written to build/Release, where node-gyp-build looks for it.
 *
 * TOKENLEARNER_CUDA=ON|OFF|AUTO decides about the CUDA kernels; AUTO, the default, builds them where an nvcc of CUDA 12.8 or later is found.
 *
 *     node scripts/build-native.mjs [--libtorch FOLDER]
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { ensureTypeScript } from './build-ts.mjs';
import { ensureDependencies } from './dependencies.mjs';
import { ensureLibtorch, libtorchOptions } from './libtorch.mjs';
import { checkToolchain, compilerOutput } from './toolchain.mjs';
import {
  commandLine,
  hashInputs,
  here,
  isFresh,
  isMain,
  libc,
  lockedVersions,
  main,
  markFresh,
  markStale,
  output,
  root,
  run,
  runPackage,
  say,
  SetupError,
} from './tools.mjs';

/** CMake's build folder, where `ctest` runs. */
export const cmakeFolder = path.join(root, 'build', 'cmake');

/** Builds the parts that are out of date. `tests` adds the CTest programs. */
export function ensureNative({ includeDir, version, tests = false }) {
  const cuda = process.env.TOKENLEARNER_CUDA ?? 'AUTO';
  if (!['ON', 'OFF', 'AUTO'].includes(cuda)) {
    throw new SetupError(`Expected ON, OFF or AUTO for TOKENLEARNER_CUDA but received ${cuda}`);
  }
  ensureConfigured({ includeDir, version, cuda });
  buildTargets(cmakeFolder, tests ? [] : ['tokenlearner']);
}

/** Runs CMake's configuration in a folder below the checkout, through cmake-js, with these cache entries. */
export function configure(folder, settings) {
  const out = ['--out', path.relative(root, folder), '--log-level', 'warn'];
  // MSVC has no GNU vector types, which the kernels use.
  if (process.platform === 'win32') out.push('--toolset', 'ClangCL');
  const entries = Object.entries(settings).map(([name, value]) => `--CD${name}=${value}`);
  runPackage('cmake-js/bin/cmake-js', ['configure', ...out, ...entries]);
}

/** Builds some targets of a configured folder, or all. */
export function buildTargets(folder, targets = []) {
  const chosen = targets.length > 0 ? ['--target', ...targets] : [];
  const parallel = ['--parallel', String(availableParallelism())];
  run('cmake', ['--build', folder, '--config', 'Release', ...parallel, ...chosen]);
}

/**
 * CMake keeps its compilers and flags for the life of a build folder, so another toolchain gets a new folder. Another option is configured
 * again, and the build tool rebuilds the targets that it changes.
 */
function ensureConfigured({ includeDir, version, cuda }) {
  const stamps = {
    'native-toolchain': hashInputs([], toolchain(cuda)),
    'native-options': hashInputs([], options({ includeDir, version, cuda })),
  };
  const isStale = (name) => !isFresh(name, stamps[name]);
  const isNew = !isGenerated() || isForeign() || isStale('native-toolchain');
  if (!isNew && !isStale('native-options')) return;
  checkToolchain();
  say('Configuring the native build');
  markStale('native-options');
  if (isNew) {
    markStale('native-toolchain');
    rmSync(cmakeFolder, { recursive: true, force: true });
  }
  // The tests are always configured, so that a build with them and one without share one folder.
  configure(cmakeFolder, {
    TOKENLEARNER_TORCH_INCLUDE: includeDir,
    TOKENLEARNER_CUDA: cuda,
    BUILD_TESTING: 'ON',
  });
  for (const [name, hash] of Object.entries(stamps)) markFresh(name, hash);
}

/** The compilers, their flags, and the platform: a checkout may be shared, or copied to another machine. */
function toolchain(cuda) {
  const { CC, CXX, CFLAGS, CXXFLAGS, LDFLAGS, CUDAARCHS, CUDACXX } = process.env;
  return {
    platform: [here, libc()],
    environment: { CC, CXX, CFLAGS, CXXFLAGS, LDFLAGS, CUDAARCHS, CUDACXX },
    compiler: compilerOutput(['--version']),
    nvcc: cuda === 'OFF' ? null : output(CUDACXX ?? 'nvcc', ['--version']),
  };
}

/** The inputs of the configuration that CMake itself does not watch. */
function options({ includeDir, version, cuda }) {
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const packages = lockedVersions(['cmake-js', 'node-addon-api', 'node-api-headers']);
  return { includeDir, version, cuda, packages, own: manifest.version };
}

/** True for a build folder that CMake has finished once. A configuration that fails leaves its cache without the build tool's files. */
function isGenerated() {
  const exists = (name) => existsSync(path.join(cmakeFolder, name));
  const hasFiles = process.platform === 'win32' || exists('build.ninja') || exists('Makefile');
  return exists('CMakeCache.txt') && hasFiles;
}

/** True for a build folder that CMake would refuse: configured in another place or with another generator. */
function isForeign() {
  const text = readFileSync(path.join(cmakeFolder, 'CMakeCache.txt'), 'utf8');
  const value = (name) => new RegExp(`^${name}:[A-Z]+=(.*)$`, 'm').exec(text)?.[1]?.trim();
  if (path.resolve(value('CMAKE_HOME_DIRECTORY') ?? '') !== root) return true;
  // cmake-js takes Ninja where it is installed, and make otherwise.
  const hasNinja = output('ninja', ['--version']) !== null;
  return process.platform !== 'win32' && (value('CMAKE_GENERATOR') === 'Ninja') !== hasNinja;
}

if (isMain(import.meta.url)) {
  await main(async () => {
    const { values } = commandLine(libtorchOptions);
    ensureDependencies();
    await ensureTypeScript();
    ensureNative(await ensureLibtorch(values.libtorch));
  });
}
