/**
 * `npm test`: sets the checkout up, then runs the native tests and the JavaScript ones.
 * `npm test -- ARGS` hands ARGS to jest and leaves the native tests out. Without ARGS the tests of the packed package,
 * `npm run test:packaging`, are left out: they pack and install it.
 * Both write their results to build/test-results, in machine-readable form.
 */
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { cmakeFolder } from './build-native.mjs';
import { setup } from './setup.mjs';
import { main, root, run, runPackage, say, SetupError } from './tools.mjs';

await main(async () => {
  const args = process.argv.slice(2);
  await setup({ tests: true });
  const results = path.join(root, 'build', 'test-results');
  rmSync(results, { recursive: true, force: true });
  mkdirSync(results, { recursive: true });
  const failed = [];
  const attempt = (name, work) => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      failed.push(name);
    }
  };
  if (args.length === 0) {
    say('Native tests');
    attempt('native', () => {
      const report = path.join(results, 'ctest.xml');
      run('ctest', ['--test-dir', cmakeFolder, '--output-on-failure', '--output-junit', report]);
    });
  }
  say('JavaScript tests');
  attempt('JavaScript', () => {
    const report = ['--json', `--outputFile=${path.join(results, 'jest.json')}`];
    const chosen =
      args.length > 0 ? args : ['--testPathIgnorePatterns', '/node_modules/', '/test/packaging/'];
    runPackage('jest/bin/jest.js', [...(process.env.CI ? ['--ci'] : []), ...report, ...chosen]);
  });
  if (failed.length > 0) throw new SetupError(`Tests failed: ${failed.join(', ')}`);
});
