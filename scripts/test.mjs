/**
 * `npm test`: sets the checkout up, then runs the native tests and the JavaScript ones.
 * `npm test -- ARGS` passes ARGS to jest and leaves the native tests out. Without ARGS the tests of the packed package,
 * `npm run test:packaging`, are left out: they pack and install it.
 * Both write their results to build/test-results, in machine-readable form.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { cmakeFolder } from './build-native.mjs';
import { setup } from './setup.mjs';
import { isMain, main, root, run, runPackage, say, SetupError } from './tools.mjs';

const RESULTS = path.join(root, 'build', 'test-results');
const REPORT = path.join(RESULTS, 'jest.json');

/**
 * Runs jest on the chosen tests, by default all except those of the packed package. Throws a SetupError when one fails. `report` is the file for the
 * results; null makes none.
 */
export function jestSuite({ chosen = [], env = process.env, report = REPORT } = {}) {
  if (report !== null) mkdirSync(path.dirname(report), { recursive: true });
  const selection =
    chosen.length > 0 ? chosen : ['--testPathIgnorePatterns', '/node_modules/', '/test/packaging/'];
  const json = report === null ? [] : ['--json', `--outputFile=${report}`];
  runPackage('jest/bin/jest.js', [...(env.CI ? ['--ci'] : []), ...json, ...selection], { env });
}

/** Runs CTest on the native tests. Throws a SetupError when one fails. */
function nativeSuite() {
  const report = path.join(RESULTS, 'ctest.xml');
  mkdirSync(RESULTS, { recursive: true });
  const parallel = String(availableParallelism());
  run('ctest', [
    '--test-dir',
    cmakeFolder,
    '--output-on-failure',
    '--parallel',
    parallel,
    '--output-junit',
    report,
  ]);
}

async function test(chosen) {
  await setup({ tests: true });
  rmSync(RESULTS, { recursive: true, force: true });
  const failed = [];
  const attempt = (name, suite) => {
    say(`${name} tests`);
    try {
      suite();
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      failed.push(name);
    }
  };
  if (chosen.length === 0) attempt('Native', nativeSuite);
  attempt('JavaScript', () => jestSuite({ chosen }));
  if (failed.length > 0) throw new SetupError(`Tests failed: ${failed.join(', ')}`);
}

if (isMain(import.meta.url)) await main(() => test(process.argv.slice(2)));
