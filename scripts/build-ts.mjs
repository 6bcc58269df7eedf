/** Compiles lib/ to dist/: CommonJS, its types, and the ESM entry over it. */
import { chmodSync, existsSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { writeEsmEntry } from './build-esm.mjs';
import { ensureDependencies } from './dependencies.mjs';
import {
  hashInputs,
  isFresh,
  isMain,
  lockedVersions,
  main,
  markFresh,
  root,
  runPackage,
  say,
} from './tools.mjs';

const SOURCES = [
  'lib',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'scripts/build-ts.mjs',
  'scripts/build-esm.mjs',
];

export async function ensureTypeScript() {
  const inputs = hashInputs(SOURCES, lockedVersions(['typescript']));
  const dist = path.join(root, 'dist');
  if (existsSync(path.join(dist, 'index.mjs')) && isFresh('typescript', inputs)) return;
  say('Compiling lib/ to dist/');
  // Beside dist/ first, so that a failure leaves the last good one.
  const fresh = path.join(root, 'build', `dist-${process.pid}`);
  try {
    runPackage('typescript/bin/tsc6', ['-p', 'tsconfig.build.json', '--outDir', fresh]);
    await writeEsmEntry(fresh);
    const cli = path.join(fresh, 'cli', 'main.js');
    if (existsSync(cli)) chmodSync(cli, 0o755);
    rmSync(dist, { recursive: true, force: true });
    renameSync(fresh, dist);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  markFresh('typescript', inputs);
}

if (isMain(import.meta.url)) {
  await main(async () => {
    ensureDependencies();
    await ensureTypeScript();
  });
}
