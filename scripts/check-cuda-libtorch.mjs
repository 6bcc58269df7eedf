/**
 * One addon, many libtorch: runs the parity tests with the very binary that is shipped on the pinned CPU libtorch and on a
 * CUDA build of a later version, which works without a GPU too.
 *
 * The CUDA build (4.4 GB, through pip) is fetched into build/cuda-libtorch and kept there. Where it cannot be had, that half
 * is skipped, and says so; with --required it fails.
 */
import { statfsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { ensureLibtorch } from './libtorch.mjs';
import { prebuild } from './prebuild.mjs';
import { main, root, runPackage, say, SetupError } from './tools.mjs';

const VARIANT = 'cu130';
/** Bytes: the wheels, and what is in them. */
const NEEDED = 8e9;

const compiled = (name) => createRequire(import.meta.url)(path.join(root, 'dist', 'libtorch', `${name}.js`));

/** The lib folder of the CUDA build, or why there is none. */
async function obtainCuda() {
  const { bavail, bsize } = statfsSync(root);
  if (bavail * bsize < NEEDED) return { reason: `it needs ${NEEDED / 1e9} GB of free space` };
  const folder = path.join(root, 'build', 'cuda-libtorch');
  // The wheels belong in the build folder too, and not in the cache of this user.
  process.env.TOKENLEARNER_CACHE = path.join(root, 'build', 'cuda-cache');
  try {
    const found = await compiled('install').installLibtorch({ variant: VARIANT, folder, log: say });
    return { libDir: found.libDir, version: found.version };
  } catch (error) {
    return { reason: error.message };
  } finally {
    delete process.env.TOKENLEARNER_CACHE;
  }
}

function parity(libDir, title) {
  say(`\nParity on libtorch ${title}`);
  const env = { ...process.env, TOKENLEARNER_LIBTORCH: libDir, PREBUILDS_ONLY: '1' };
  runPackage('jest/bin/jest.js', ['test/parity'], { env });
}

await main(async () => {
  await prebuild();
  const { libDir, version } = await ensureLibtorch();
  parity(libDir, `${version} (cpu)`);
  const cuda = await obtainCuda();
  if (cuda.libDir !== undefined) {
    parity(cuda.libDir, `${cuda.version} (${VARIANT})`);
    say(`\nThe same binary passes on ${version} (cpu) and ${cuda.version} (${VARIANT}).`);
    return;
  }
  if (process.argv.includes('--required')) throw new SetupError(`No ${VARIANT} libtorch: ${cuda.reason}`);
  say(`\nSKIPPED: parity on a CUDA build of libtorch, which could not be had here: ${cuda.reason}`);
});
