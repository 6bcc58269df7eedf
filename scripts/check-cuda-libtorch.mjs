/**
 * One addon, many libtorch: with the very binary that is shipped, the parity tests on the pinned CPU libtorch, and the tests that use libtorch on a CUDA
 * build of a later version, which falls back to the CPU where there is no GPU.
 *
 * The CUDA build (4.4 GB, through pip) is fetched into build/cuda-libtorch and kept there. Where it is not available, that half
 * is skipped with a message; with --required it fails. --fetch does that alone.
 */
import { statfsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { ensureLibtorch } from './libtorch.mjs';
import { prebuild } from './prebuild.mjs';
import { jestSuite } from './test.mjs';
import { commandLine, main, root, say, SetupError } from './tools.mjs';

const VARIANT = 'cu130';
/** Free bytes: for the wheels and their contents. */
const NEEDED = 8e9;

const compiled = (name) => createRequire(import.meta.url)(path.join(root, 'dist', 'libtorch', `${name}.js`));

/** {libDir, version} of the CUDA build, or {reason} where there is none. */
async function obtainCuda() {
  const { installLibtorch, inspectInstalled } = compiled('install');
  const folder = path.join(root, 'build', 'cuda-libtorch');
  const { bavail, bsize } = statfsSync(root);
  if (inspectInstalled(folder, compiled('cache').thisHost()) === null && bavail * bsize < NEEDED) {
    return { reason: `it needs ${NEEDED / 1e9} GB of free space` };
  }
  // The wheels belong in the build folder too, and not in the cache of this user.
  process.env.TOKENLEARNER_CACHE = path.join(root, 'build', 'cuda-cache');
  try {
    const found = await installLibtorch({ variant: VARIANT, folder, log: say });
    return { libDir: found.libDir, version: found.version };
  } catch (error) {
    return { reason: error.message };
  } finally {
    delete process.env.TOKENLEARNER_CACHE;
  }
}

/** The tests that load libtorch, and those that find and describe it. */
const SUITES = [
  'test/parity',
  'test/lifetime',
  'test/examples',
  'test/lib/modules',
  'test/lib/tensor',
  'test/lib/serving',
  'test/lib/files',
  'test/lib/libtorch',
  'test/lib/doctor',
  'test/lib/aoti/(?:model|modules|weights)',
  'test/lib/(?:binding|cuda-fallback|device|hostile|runtime|runtime-devices|shared|threads)',
];

/** These measure memory that JavaScript keeps, which is the same on every libtorch; test/lifetime/memory.test.ts measures that of results. */
const LEFT_OUT = ['/node_modules/', 'sync-loop.test', 'workers-memory.test', 'exported-memory.test'];

/** The shipped binary on a libtorch. */
const on = (libDir) => ({ ...process.env, TOKENLEARNER_LIBTORCH: libDir, PREBUILDS_ONLY: '1' });

await main(async () => {
  const { values } = commandLine({ required: { type: 'boolean' }, fetch: { type: 'boolean' } });
  if (values.fetch) {
    await obtainCuda();
    return;
  }
  await prebuild();
  const { libDir, version } = await ensureLibtorch();
  say(`\nParity on libtorch ${version} (cpu)`);
  jestSuite({ chosen: ['test/parity'], env: on(libDir), report: null });
  const cuda = await obtainCuda();
  if (cuda.libDir !== undefined) {
    say(`\nThe tests that use libtorch on ${cuda.version} (${VARIANT})`);
    jestSuite({ chosen: [...SUITES, '--testPathIgnorePatterns', ...LEFT_OUT], env: on(cuda.libDir) });
    say(`\nThe same binary passes on ${version} (cpu) and ${cuda.version} (${VARIANT}).`);
    return;
  }
  if (values.required) throw new SetupError(`No ${VARIANT} libtorch: ${cuda.reason}`);
  say(`\nSKIPPED: tests on a CUDA build of libtorch, which is not available here: ${cuda.reason}`);
});
