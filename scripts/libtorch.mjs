/**
 * Finds the libtorch that the checkout is built with: the one that `--libtorch` or TOKENLEARNER_LIBTORCH names, or else the pinned one,
 * which it downloads into the user's cache. The compiled lib/libtorch does the work.
 *
 *     node scripts/libtorch.mjs [--libtorch FOLDER]
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { ensureDependencies } from './dependencies.mjs';
import { ensureTypeScript } from './build-ts.mjs';
import { commandLine, isMain, main, root, say, SetupError } from './tools.mjs';

/** Options of every script that takes another libtorch. */
export const libtorchOptions = { libtorch: { type: 'string' } };

/** Needs dist/. `explicit` is a folder that comes before the environment's. Returns the lib folder, the include folder and the version. */
export async function ensureLibtorch(explicit) {
  const require = createRequire(import.meta.url);
  const compiled = (name) => require(path.join(root, 'dist', 'libtorch', `${name}.js`));
  const named = explicit ?? process.env.TOKENLEARNER_LIBTORCH;
  if (named) {
    const found = compiled('locate').locateLibtorch({ path: named });
    // The programs that are started next look for it there.
    process.env.TOKENLEARNER_LIBTORCH = found.libDir;
    return withHeaders(found, named);
  }
  const { installLibtorch } = compiled('install');
  const { progressRenderer } = compiled('progress');
  return withHeaders(
    await installLibtorch({ log: say, onProgress: progressRenderer(process.stderr) }),
    'the cache',
  );
}

function withHeaders({ libDir, root: folder, version }, place) {
  const includeDir = path.join(folder, 'include');
  if (!existsSync(path.join(includeDir, 'torch', 'csrc', 'stable', 'c', 'shim.h'))) {
    throw new SetupError(
      `The libtorch of ${place} has no headers of the stable ABI in ${includeDir}. ` +
        'Name one that has them, or unset TOKENLEARNER_LIBTORCH and let the set-up fetch the pinned one.',
    );
  }
  return { libDir, includeDir, version };
}

if (isMain(import.meta.url)) {
  await main(async () => {
    const { values } = commandLine(libtorchOptions);
    ensureDependencies();
    await ensureTypeScript();
    const { libDir, version } = await ensureLibtorch(values.libtorch);
    say(`libtorch ${version ?? 'of no stated version'}: ${libDir}`);
  });
}
