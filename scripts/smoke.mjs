/**
 * The smoke test of the packed files, test/packaging/smoke.ts, in a host for another platform, and the C++ tests for it.
 *
 *     node scripts/smoke.mjs
 *
 * runs the smoke test in the Node that runs this script, for example on Alpine.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { crossBuildFolder, ensureCross } from './cross.mjs';
import { prebuild } from './prebuild.mjs';
import { here, isMain, main, output, root, run, runtimePackages, say, SetupError } from './tools.mjs';

const RESULTS = path.join(root, 'build', 'test-results');

/** Builds the C++ tests for a platform and runs those of the CPU: with CMake's emulator, where its toolchain file has one. */
export async function nativeTests(platform) {
  await ensureCross(platform, { tests: true });
  mkdirSync(RESULTS, { recursive: true });
  const report = ['--output-junit', path.join(RESULTS, 'ctest.xml')];
  const chosen = ['--label-regex', 'portable', '--parallel', '2', '--timeout', '600'];
  run('ctest', ['--test-dir', crossBuildFolder(platform), '--output-on-failure', ...report, ...chosen]);
}

/** The package's files as they are packed, in the node_modules of a project. */
function assemble(project, binary) {
  const own = path.join(project, 'node_modules', 'tokenlearner');
  for (const name of ['dist', 'package.json', path.relative(root, binary)])
    cpSync(path.join(root, name), path.join(own, name), { recursive: true });
  // The binary for the other C library: a host that takes it fails.
  const other = binary.endsWith('.musl.node') ? 'glibc' : 'musl';
  const folder = path.join(own, path.relative(root, path.dirname(binary)));
  cpSync(path.join(root, 'LICENSE'), path.join(folder, `tokenlearner.${other}.node`));
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

/**
 * Runs the smoke test. `host` is the command that runs a JavaScript file: a path, and first arguments. `isa` is the instruction set that it
 * must report.
 */
export async function smokeTest(platform, { host, isa, env = {} }) {
  const binary = await prebuild(platform);
  const project = mkdtempSync(path.join(tmpdir(), 'tokenlearner-smoke-'));
  try {
    assemble(project, binary);
    const file = await bundleSmokeTest(project);
    say(`Running the smoke test for ${platform}: ${host.join(' ')}`);
    const [program, ...first] = host;
    const { status, signal, error } = spawnSync(program, [...first, file, isa, path.basename(binary)], {
      cwd: project,
      stdio: ['ignore', 'inherit', 'inherit'],
      // Nothing of this machine may be found: neither its libtorch nor its Python.
      env: {
        HOME: project,
        PATH: project,
        TOKENLEARNER_FIXTURES: path.join(root, 'test', 'fixtures'),
        ...env,
      },
    });
    if (error) throw error;
    if (status !== 0) throw new SetupError(`The smoke test failed (${signal ?? `exit code ${status}`})`);
  } finally {
    rmSync(project, { recursive: true, force: true });
  }
}

/** The best instruction set of this machine's processor, as the fused engine names it. */
export function expectedIsa() {
  if (process.arch === 'arm64') return 'neon';
  const flags = output('sh', ['-c', 'grep -m1 ^flags /proc/cpuinfo'])?.split(/\s+/) ?? [];
  const has = (...names) => names.every((name) => flags.includes(name));
  if (!has('avx2', 'fma')) return 'baseline';
  return has('avx512f', 'avx512dq', 'avx512bw', 'avx512vl') ? 'avx512' : 'avx2';
}

if (isMain(import.meta.url))
  await main(() => smokeTest(here, { host: [process.execPath], isa: expectedIsa() }));
