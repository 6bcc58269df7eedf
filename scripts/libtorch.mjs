/**
 * Finds or obtains the libtorch that the checkout is built with: the one that `--libtorch` or TOKENLEARNER_LIBTORCH names,
 * or else the pinned one, in the user's cache. The work is done by lib/libtorch, compiled.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { ensureDependencies } from './dependencies.mjs';
import { ensureTypeScript } from './build-ts.mjs';
import { argument, isMain, main, root, say, SetupError } from './tools.mjs';

/** Needs dist/. Returns the lib folder, the include folder and the version. */
export async function ensureLibtorch(explicit = argument('libtorch')) {
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
    ensureDependencies();
    await ensureTypeScript();
    const { libDir, version } = await ensureLibtorch();
    say(`libtorch ${version ?? 'of no stated version'}: ${libDir}`);
  });
}
