/**
 * Makes a checkout ready: npm packages, dist/, libtorch, the native addon. Does only what is not done yet, so every
 * command may call it first.
 *
 *     node scripts/setup.mjs [--libtorch FOLDER] [--tests]
 */
import { ensureTypeScript } from './build-ts.mjs';
import { ensureNative } from './build-native.mjs';
import { ensureDependencies } from './dependencies.mjs';
import { ensureLibtorch } from './libtorch.mjs';
import { isMain, main, say } from './tools.mjs';

/** `tests` also builds the native tests. */
export async function setup({ tests = false, libtorch } = {}) {
  ensureDependencies();
  await ensureTypeScript();
  const found = await ensureLibtorch(libtorch);
  ensureNative({ ...found, tests });
  return found;
}

if (isMain(import.meta.url)) {
  await main(async () => {
    const { libDir, version } = await setup({ tests: process.argv.includes('--tests') });
    say(`Ready, with libtorch ${version ?? 'of no stated version'} in ${libDir}`);
  });
}
