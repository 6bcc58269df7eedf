/**
 * `npm run test:arm64`: cross-builds the addon and the C++ tests for linux-arm64, runs the tests of the CPU in the emulator, and runs a
 * smoke test of the packed files in an emulated Node.
 *
 *     node scripts/arm64.mjs [--smoke]
 *
 * --smoke leaves the C++ tests out. The tests of the CUDA kernels' logic are always left out: they take many minutes in the emulator
 * and compile to no arm64 code of ours. No time that is measured here says anything about arm64 hardware.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { checkCross, crossBuildFolder, crossTarget, ensureCross } from './cross.mjs';
import { ensureNode, VERSIONS } from './nodes.mjs';
import { prebuild } from './prebuild.mjs';
import { commandLine, main, output, root, run, runtimePackages, say, SetupError } from './tools.mjs';

const PLATFORM = 'linux-arm64';
const [NODE] = VERSIONS;
const RESULTS = path.join(root, 'build', 'test-results');

/** Runs CTest in the emulator, which CMake puts before each program. */
async function nativeTests() {
  await ensureCross(PLATFORM, { tests: true });
  mkdirSync(RESULTS, { recursive: true });
  const report = ['--output-junit', path.join(RESULTS, 'ctest.xml')];
  const chosen = ['--exclude-regex', '^cuda', '--parallel', '2', '--timeout', '900'];
  run('ctest', ['--test-dir', crossBuildFolder(PLATFORM), '--output-on-failure', ...report, ...chosen]);
}

/** The package's files as they are packed, in the node_modules of a project. */
function assemble(project) {
  const modules = path.join(project, 'node_modules');
  for (const name of ['dist', 'package.json', path.join('prebuilds', PLATFORM)]) {
    cpSync(path.join(root, name), path.join(modules, 'tokenlearner', name), { recursive: true });
  }
  const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  for (const name of runtimePackages(lock))
    symlinkSync(path.join(root, name), path.join(project, name), 'dir');
}

/** test/packaging/smoke.ts as one file that requires the package by its name. */
async function bundleSmokeTest(project) {
  const { build } = createRequire(import.meta.url)('esbuild');
  const file = path.join(project, 'smoke.cjs');
  const plugin = {
    name: 'the package itself',
    setup: ({ onResolve }) => {
      onResolve({ filter: /^\.\.\/\.\.\/lib$/ }, () => ({ path: 'tokenlearner', external: true }));
    },
  };
  await build({
    entryPoints: [path.join(root, 'test', 'packaging', 'smoke.ts')],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    plugins: [plugin],
  });
  return file;
}

async function smokeTest() {
  await prebuild(PLATFORM);
  const program = ensureNode(NODE, PLATFORM);
  const project = mkdtempSync(path.join(tmpdir(), 'tokenlearner-arm64-'));
  try {
    assemble(project);
    const file = await bundleSmokeTest(project);
    const [emulator, ...first] = crossTarget(PLATFORM).emulator;
    const emulatorFile = output('sh', ['-c', 'command -v "$0"', emulator]);
    say(`Running the smoke test in Node ${NODE} for ${PLATFORM}, emulated`);
    const { status, error } = spawnSync(emulatorFile, [...first, program, file, 'neon'], {
      cwd: project,
      stdio: ['ignore', 'inherit', 'inherit'],
      // Nothing of this machine may be found: neither its libtorch nor its Python.
      env: { HOME: project, PATH: project, TOKENLEARNER_FIXTURES: path.join(root, 'test', 'fixtures') },
    });
    if (error) throw error;
    if (status !== 0) throw new SetupError(`The smoke test failed (exit code ${status})`);
  } finally {
    rmSync(project, { recursive: true, force: true });
  }
}

await main(async () => {
  const { smoke } = commandLine({ smoke: { type: 'boolean', default: false } }).values;
  checkCross(PLATFORM, { emulator: true });
  if (!smoke) await nativeTests();
  await smokeTest();
});
