/** Compiles lib/ to dist/: CommonJS, its types, the ESM entry over it, and one file of what every program loads. */
import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { writeCore } from './build-core.mjs';
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
  SetupError,
} from './tools.mjs';

const SOURCES = [
  'lib',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'scripts/build-ts.mjs',
  'scripts/build-core.mjs',
  'scripts/build-esm.mjs',
];

export async function ensureTypeScript() {
  const inputs = hashInputs(SOURCES, lockedVersions(['typescript', 'esbuild']));
  const dist = path.join(root, 'dist');
  if (existsSync(path.join(dist, 'index.mjs')) && isFresh('typescript', inputs)) return;
  say('Compiling lib/ to dist/');
  // Beside dist/ first, so that a failure leaves the last good one.
  const fresh = path.join(root, 'build', `dist-${process.pid}`);
  try {
    runPackage('typescript/bin/tsc6', ['-p', 'tsconfig.build.json', '--outDir', fresh]);
    inlineErrorCodes(fresh);
    await writeEsmEntry(fresh);
    await writeCore(fresh);
    const cli = path.join(fresh, 'cli', 'main.js');
    if (existsSync(cli)) chmodSync(cli, 0o755);
    rmSync(dist, { recursive: true, force: true });
    renameSync(fresh, dist);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  markFresh('typescript', inputs);
}

/**
 * Writes the registry's codes into errors.d.ts, which otherwise imports a JSON file: under a compiler that does not resolve
 * those, and does not skip the checking of declarations, a user's program would not compile.
 */
function inlineErrorCodes(folder) {
  const file = path.join(folder, 'errors.d.ts');
  const codes = Object.keys(JSON.parse(readFileSync(path.join(folder, 'error-codes.json'), 'utf8')));
  const union = codes.map((code) => `'${code}'`).join(' | ');
  const text = readFileSync(file, 'utf8');
  const inlined = text.replace(/^import codes .*\n/, '').replace('keyof typeof codes', union);
  if (inlined.includes('codes;') || inlined === text) throw new SetupError(`${file} is not as expected`);
  writeFileSync(file, inlined);
}

if (isMain(import.meta.url)) {
  await main(async () => {
    ensureDependencies();
    await ensureTypeScript();
  });
}
