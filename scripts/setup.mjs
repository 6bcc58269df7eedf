/**
 * Sets a checkout up: npm packages, dist/, libtorch, the native addon. It does only what is not done yet, so every
 * command can call it first.
 *
 *     node scripts/setup.mjs [--libtorch FOLDER] [--tests]
 */
import { ensureTypeScript } from './build-ts.mjs';
import { ensureNative } from './build-native.mjs';
import { ensureDependencies } from './dependencies.mjs';
import { ensureLibtorch, libtorchOptions } from './libtorch.mjs';
import { commandLine, isMain, main, say } from './tools.mjs';

/** `tests` also builds the native tests; `libtorch` is a folder. */
export async function setup({ tests = false, libtorch } = {}) {
  ensureDependencies();
  await ensureTypeScript();
  const found = await ensureLibtorch(libtorch);
  ensureNative({ ...found, tests });
  return found;
}

if (isMain(import.meta.url)) {
  await main(async () => {
    const { values } = commandLine({ tests: { type: 'boolean' }, ...libtorchOptions });
    const { libDir, version } = await setup(values);
    say(`Ready, with libtorch ${version ?? 'of no stated version'} in ${libDir}`);
  });
}
