/**
 * Cross-builds of the addon and its tests, each in its own folder below build/. Debian's packages have the compiler for linux-arm64, and
 * an emulator that runs what it makes. The compiler for musl comes from npm: zig.mjs.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { buildTargets, configure } from './build-native.mjs';
import { ensureTypeScript } from './build-ts.mjs';
import { ensureDependencies } from './dependencies.mjs';
import { ensureLibtorch } from './libtorch.mjs';
import { checkToolchain } from './toolchain.mjs';
import { here, output, root, SetupError } from './tools.mjs';
import { ensureZig, hasZig } from './zig.mjs';

const TARGETS = {
  'linux-arm64': {
    host: 'linux-x64',
    /** A CMake toolchain file. */
    toolchain: 'cmake/linux-arm64.cmake',
    compiler: 'aarch64-linux-gnu-g++',
    strip: 'aarch64-linux-gnu-strip',
    /** A program and its first arguments. */
    emulator: ['qemu-aarch64-static', '-L', '/usr/aarch64-linux-gnu'],
    packages: ['g++-aarch64-linux-gnu', 'qemu-user-static'],
  },
  'linux-x64-musl': musl('x64'),
  'linux-arm64-musl': musl('arm64'),
};

/** zig, which is fetched when it is needed. Its linker strips: no other program here can strip both processors' files. */
function musl(arch) {
  return { host: 'linux-x64', toolchain: `cmake/linux-${arch}-musl.cmake`, strip: 'true', isZig: true };
}

/** The platforms that this one can build for, besides itself. */
export function crossPlatforms() {
  return Object.keys(TARGETS).filter((name) => TARGETS[name].host === here);
}

/** The target of a name such as linux-arm64. Throws a SetupError where this platform cannot build for it. */
export function crossTarget(name) {
  if (!crossPlatforms().includes(name)) {
    const known = [here, ...crossPlatforms()].join(' or ');
    throw new SetupError(`Expected ${known} for the platform but received ${name}`);
  }
  return TARGETS[name];
}

/** True where the compiler of the target is installed. */
export function hasCrossCompiler(name) {
  const target = crossTarget(name);
  return target.isZig ? hasZig() : output(target.compiler, ['--version']) !== null;
}

/** True where a build for the target takes nothing that was not asked for: zig's first one takes minutes, for libc++. */
export function isReadyToCross(name) {
  return hasCrossCompiler(name) && (!crossTarget(name).isZig || existsSync(crossBuildFolder(name)));
}

/** True where the emulator of the target is installed. */
function hasEmulator(name) {
  return output(crossTarget(name).emulator[0], ['--version']) !== null;
}

/** Throws a SetupError that names the Debian packages, where the compiler or, if it is needed, the emulator is missing. */
export function checkCross(name, { emulator = false } = {}) {
  const target = crossTarget(name);
  if (target.isZig) return;
  const missing = [
    ...(hasCrossCompiler(name) ? [] : [target.compiler]),
    ...(emulator && !hasEmulator(name) ? [target.emulator[0]] : []),
  ];
  if (missing.length === 0) return;
  throw new SetupError(
    `${name} cannot be built or tested here: ${missing.join(' and ')} missing.\n` +
      `On Debian and Ubuntu: apt-get install ${target.packages.join(' ')}`,
  );
}

/** prebuildify's working directory for a target. */
export function crossFolder(name) {
  return path.join(root, 'build', name);
}

/** CMake's build folder for a target, where `ctest` runs. The addon is in its folder Release, where prebuildify takes it. */
export function crossBuildFolder(name) {
  return path.join(crossFolder(name), 'build');
}

/** Builds the addon for a target, without CUDA kernels. `tests` adds the C++ tests, without those of the CUDA kernels' logic. */
export async function ensureCross(name, { tests = false } = {}) {
  checkCross(name);
  if (crossTarget(name).isZig) ensureZig();
  checkToolchain();
  ensureDependencies();
  await ensureTypeScript();
  // Only the headers are used, which are the same on every platform.
  const { includeDir } = await ensureLibtorch();
  const folder = crossBuildFolder(name);
  configure(folder, {
    CMAKE_TOOLCHAIN_FILE: path.join(root, crossTarget(name).toolchain),
    TOKENLEARNER_TORCH_INCLUDE: includeDir,
    TOKENLEARNER_CUDA: 'OFF',
    BUILD_TESTING: 'ON',
  });
  buildTargets(folder, ['tokenlearner', ...(tests ? ['portable-tests'] : [])]);
}
