/**
 * `npm run test:nodes`: runs the tests that depend on the version of Node, on other versions of Node.
 *
 *     node scripts/nodes.mjs [JEST ARGUMENTS]
 *
 * The binaries come from the npm packages `node-<platform>-<arch>`, at the versions below, into .cache/nodes. Needs a built
 * checkout; the permission test also the packages that `npm run test:packaging` makes. The results of all versions are added up in
 * build/test-results/jest.json.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fetchPackage, packagesFolder } from './npm-pack.mjs';
import { here, isMain, main, root, say, SetupError } from './tools.mjs';

/** Exact, so that a run can be repeated. */
export const VERSIONS = ['22.23.3', '24.21.0', '26.10.0'];
const CACHE = path.join(root, '.cache', 'nodes');
const RESULTS = path.join(root, 'build', 'test-results');
/** The tests that depend on the version: memory and workers, typed arrays, cloning. */
const SUITES = [
  'test/lifetime',
  'test/lib/tensor',
  'test/lib/hostile',
  'test/lib/cloning',
  'test/lib/binding',
  'test/lib/runtime.test',
];
/** Files need of Node what all versions have, and the examples are short: on the newest version alone. */
const NEWEST_SUITES = ['test/lib/files', 'test/lib/formats', 'test/examples'];
/** Loops that never yield take a minute and are the same in a worker: there on the newest version alone. */
const OLDER_LEFT_OUT = '^(?!in the worker thread, a loop that never yields)';
/** Long tests of our own parsers' budgets, which are the same on every version. */
const LEFT_OUT = ['/node_modules/', 'formats/(?:fuzz|safetensors-header|pickle-budget)'];
/** Compiled programs need of Node what other layers need: on the newest version alone. */
const OLDER_LEFT_OUT_FILES = ['lifetime/aoti'];
const PERMISSION = 'test/packaging/permission.test.ts';
/** The counts of jest's report that are added up. */
const COUNTS = [
  'numTotalTests',
  'numPassedTests',
  'numFailedTests',
  'numPendingTests',
  'numRuntimeErrorTestSuites',
];

/** The binary of a version, fetched once. `platform` is for example 'linux-arm64'. */
export function ensureNode(version, platform = here) {
  const place = platform === here ? version : `${version}-${platform}`;
  const folder = path.join(CACHE, place);
  const program = path.join(folder, 'bin', platform.startsWith('win32') ? 'node.exe' : 'node');
  if (existsSync(program)) return program;
  const name = `node-${platform.replace('win32', 'win')}@${version}`;
  // The program alone: jest would take the package.json of each version for one package.
  fetchPackage(name, folder, { member: 'package/bin' });
  return program;
}

/** The tests of a version. The permission test needs the packed package, which only `npm run test:packaging` makes. */
function defaultTests(version) {
  const isNewest = version === VERSIONS.at(-1);
  const suites = [...SUITES, ...(isNewest ? NEWEST_SUITES : [])];
  const isPacked =
    existsSync(packagesFolder) && readdirSync(packagesFolder).some((name) => name.endsWith('.tgz'));
  if (isPacked) suites.push(PERMISSION);
  else say(`${PERMISSION} is left out: nothing is packed (npm run test:packaging)`);
  const names = isNewest ? [] : ['--testNamePattern', OLDER_LEFT_OUT];
  const files = isNewest ? LEFT_OUT : [...LEFT_OUT, ...OLDER_LEFT_OUT_FILES];
  return [...suites, ...names, '--testPathIgnorePatterns', ...files];
}

/** jest under one version; its child processes are of the same version. Null where it gave no report. */
function runTests(program, version, args) {
  const report = path.join(RESULTS, `jest-${version}.json`);
  const jest = path.join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  const { status } = spawnSync(program, [jest, '--ci', '--json', `--outputFile=${report}`, ...args], {
    cwd: root,
    // jest prints the report's text to stderr; its JSON goes to the file alone.
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const counts = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : null;
  return { status, counts };
}

/** The counts of several reports of jest, as one report. */
export function sumReports(reports) {
  const sum = (key) => reports.reduce((total, report) => total + (report[key] ?? 0), 0);
  return Object.fromEntries(COUNTS.map((key) => [key, sum(key)]));
}

function describe(version, { status, counts }) {
  if (counts === null) return `Node ${version}: no report (exit code ${status})`;
  const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites } = counts;
  const failed = numFailedTests + numRuntimeErrorTestSuites;
  return `Node ${version}: ${numPassedTests} passed, ${failed} failed`;
}

if (isMain(import.meta.url)) {
  await main(() => {
    const args = process.argv.slice(2);
    rmSync(RESULTS, { recursive: true, force: true });
    mkdirSync(RESULTS, { recursive: true });
    const programs = VERSIONS.map((version) => ensureNode(version));
    const outcomes = VERSIONS.map((version, i) =>
      runTests(programs[i], version, args.length > 0 ? args : defaultTests(version)),
    );
    const reports = outcomes.flatMap(({ counts }) => counts ?? []);
    writeFileSync(path.join(RESULTS, 'jest.json'), `${JSON.stringify(sumReports(reports))}\n`);
    VERSIONS.forEach((version, i) => console.log(describe(version, outcomes[i])));
    if (outcomes.some(({ status }) => status !== 0)) throw new SetupError('Tests failed under another Node');
  });
}
