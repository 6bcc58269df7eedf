/**
 * Compiles lib/ to dist/: CommonJS, its types, the ESM entry over it, and one file of what every program loads; then packages/server to
 * its own dist/.
 */
import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { writeCore } from './build-core.mjs';
import { writeEsmEntry, writeTraceableEsmEntry } from './build-esm.mjs';
import { ensureDependencies } from './dependencies.mjs';
import {
  hashInputs,
  isFresh,
  isMain,
  lockedVersions,
  main,
  markFresh,
  markStale,
  root,
  runPackage,
  say,
  SetupError,
} from './tools.mjs';

const SHARED = ['package.json', 'tsconfig.json', 'scripts/build-ts.mjs', 'scripts/build-esm.mjs'];
const SERVER = 'packages/server';

export async function ensureTypeScript() {
  await ensureCompiled('typescript', {
    folder: '',
    sources: ['lib', 'tsconfig.build.json', 'scripts/build-core.mjs'],
    finish: finishMain,
  });
  // Its types and its ESM entry come from the compiled main package.
  const sources = ['lib', `${SERVER}/lib`, `${SERVER}/tsconfig.build.json`, `${SERVER}/package.json`];
  await ensureCompiled('typescript-server', { folder: SERVER, sources, finish: writeEsmEntry });
}

/** Compiles the lib/ of a package to its dist/. `finish` gets the compiled folder. */
async function ensureCompiled(stamp, { folder, sources, finish }) {
  const inputs = hashInputs([...SHARED, ...sources], lockedVersions(['typescript', 'esbuild']));
  const home = path.join(root, folder);
  const dist = path.join(home, 'dist');
  if (existsSync(path.join(dist, 'index.mjs')) && isFresh(stamp, inputs)) return;
  say(`Compiling ${path.posix.join(folder, 'lib/')} to ${path.posix.join(folder, 'dist/')}`);
  // Beside dist/ first, so that a failure leaves the last good one.
  const fresh = path.join(home, 'build', `dist-${process.pid}`);
  try {
    runPackage('typescript/bin/tsc6', ['-p', path.join(home, 'tsconfig.build.json'), '--outDir', fresh]);
    await finish(fresh);
    markStale(stamp);
    rmSync(dist, { recursive: true, force: true });
    renameSync(fresh, dist);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  markFresh(stamp, inputs);
}

async function finishMain(fresh) {
  inlineErrorCodes(fresh);
  writeTraceableEsmEntry(fresh);
  await writeCore(fresh);
  const cli = path.join(fresh, 'cli', 'main.js');
  if (existsSync(cli)) chmodSync(cli, 0o755);
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
