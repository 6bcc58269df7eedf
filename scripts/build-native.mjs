/**
 * Builds the native addon, and its tests if asked, with CMake through cmake-js.
 *
 * CMake works in build/cmake; the addon comes to lie in build/Release, where node-gyp-build looks for it.
 * TOKENLEARNER_CUDA=ON|OFF|AUTO decides about the CUDA kernels; AUTO, the default, builds them where nvcc is found.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { ensureTypeScript } from './build-ts.mjs';
import { ensureDependencies } from './dependencies.mjs';
import { ensureLibtorch } from './libtorch.mjs';
import { checkToolchain } from './toolchain.mjs';
import {
  hashInputs,
  isFresh,
  isMain,
  lockedVersions,
  main,
  markFresh,
  output,
  root,
  runPackage,
  say,
  SetupError,
} from './tools.mjs';

const SOURCES = ['CMakeLists.txt', 'cmake', 'native', 'lib/error-codes.json', 'package.json'];
const TEST_SOURCES = ['test/native'];

/** CMake's build folder, where `ctest` runs. */
export const cmakeFolder = path.join(root, 'build', 'cmake');

/** The addon that the build makes. */
const addon = path.join(root, 'build', 'Release', 'tokenlearner.node');

/** Builds what is not up to date. `tests` adds the CTest programs. */
export function ensureNative({ includeDir, version, tests = false }) {
  const cuda = process.env.TOKENLEARNER_CUDA ?? 'AUTO';
  if (!['ON', 'OFF', 'AUTO'].includes(cuda)) {
    throw new SetupError(`Expected ON, OFF or AUTO for TOKENLEARNER_CUDA but received ${cuda}`);
  }
  const rest = surroundings({ includeDir, version, cuda });
  const stamps = {
    native: hashInputs(SOURCES, rest),
    'native-tests': hashInputs([...SOURCES, ...TEST_SOURCES], rest),
  };
  const wanted = tests ? 'native-tests' : 'native';
  if (existsSync(addon) && isFresh(wanted, stamps[wanted])) return;
  checkToolchain();
  say(`Building the native addon${tests ? ' and its tests' : ''}`);
  build(settings({ includeDir, cuda }), tests);
  markFresh('native', stamps.native);
  if (tests) markFresh('native-tests', stamps['native-tests']);
}

/** What decides the result beside the sources. */
function surroundings({ includeDir, version, cuda }) {
  const { CC, CXX, CFLAGS, CXXFLAGS, LDFLAGS, CUDAARCHS, CUDACXX } = process.env;
  return {
    includeDir,
    version,
    cuda,
    environment: { CC, CXX, CFLAGS, CXXFLAGS, LDFLAGS, CUDAARCHS, CUDACXX },
    nvcc: cuda === 'OFF' ? null : output('nvcc', ['--version']),
    packages: lockedVersions(['cmake-js', 'node-addon-api', 'node-api-headers']),
  };
}

function settings({ includeDir, cuda }) {
  // The tests are always configured, so that building with and without them does not start from nothing each time.
  return ['--out', 'build/cmake', '--log-level', 'warn'].concat(
    [`TOKENLEARNER_TORCH_INCLUDE=${includeDir}`, `TOKENLEARNER_CUDA=${cuda}`, 'BUILD_TESTING=ON'].map(
      (each) => `--CD${each}`,
    ),
  );
}

function build(options, tests) {
  const cmakeJs = (command, ...more) => runPackage('cmake-js/bin/cmake-js', [command, ...options, ...more]);
  if (isForeign()) rmSync(cmakeFolder, { recursive: true });
  cmakeJs('configure');
  const target = tests ? [] : ['--target', 'tokenlearner'];
  cmakeJs('build', '--parallel', String(availableParallelism()), ...target);
}

/** CMake refuses a build folder that was configured in another place or with another generator. */
function isForeign() {
  const cache = path.join(cmakeFolder, 'CMakeCache.txt');
  if (!existsSync(cache)) return false;
  const text = readFileSync(cache, 'utf8');
  const value = (name) => new RegExp(`^${name}:[A-Z]+=(.*)$`, 'm').exec(text)?.[1]?.trim();
  if (path.resolve(value('CMAKE_HOME_DIRECTORY') ?? '') !== root) return true;
  // cmake-js takes Ninja where it is installed, and make otherwise.
  const hasNinja = output('ninja', ['--version']) !== null;
  return process.platform !== 'win32' && (value('CMAKE_GENERATOR') === 'Ninja') !== hasNinja;
}

if (isMain(import.meta.url)) {
  await main(async () => {
    ensureDependencies();
    await ensureTypeScript();
    ensureNative(await ensureLibtorch());
  });
}
