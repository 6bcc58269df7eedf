/**
 * `npm run test:deploy`: the deployments that need a service of their own, for real on this machine: examples/queue with Redis, deploy/ray with Ray
 * and nginx. Needs dist/ and build/Release (npm run setup), Debian's redis-server and nginx-light, and registries of npm's and Python's packages. What
 * cannot be had is a SKIP, with the reason. The counts go to build/test-results/jest.json, as those of the tests.
 *
 *     node scripts/deploy.mjs [queue|ray|offline]
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run as runTests } from 'node:test';
import { spec } from 'node:test/reporters';
import { systemPython } from './python-env.mjs';
import {
  commandLine,
  hashInputs,
  isFresh,
  isMain,
  main,
  markFresh,
  markStale,
  npmCommand,
  output,
  root,
  say,
  SetupError,
} from './tools.mjs';

const RESULTS = path.join(root, 'build', 'test-results', 'jest.json');
/** For one file of tests: more than its tests allow themselves. */
const TIMEOUT_MS = 900_000;
const work = path.join(root, 'build', 'deploy');
const PATH = `${process.env.PATH}${path.delimiter}/usr/sbin`;

/** Something that cannot be had; the message is the reason. */
class Unavailable extends Error {}

function demandProgram(name, debian = name) {
  if (spawnSync(name, ['-v'], { env: { ...process.env, PATH } }).error)
    throw new Unavailable(`${name} is not installed (Debian's ${debian})`);
}

/** Runs a program; its failure makes something unavailable. */
function attempt(what, command, args, options = {}) {
  const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8', cwd: work, ...options });
  if (status === 0) return;
  const [reason] = (error?.message ?? stderr).match(/^.*(?:ERROR|error|ERR).*$/m) ?? [`exit code ${status}`];
  throw new Unavailable(`${what} cannot be installed: ${reason}`);
}

/** A copy of examples/queue with its packages. */
function prepareQueue() {
  demandProgram('redis-server');
  const folder = path.join(work, 'queue');
  const source = path.join(root, 'examples', 'queue');
  const inputs = hashInputs(['examples/queue/package-lock.json']);
  if (!isFresh('deploy-queue', inputs) || !existsSync(path.join(folder, 'node_modules'))) {
    markStale('deploy-queue');
    rmSync(folder, { recursive: true, force: true });
    cpSync(source, folder, { recursive: true, filter: (file) => path.basename(file) !== 'node_modules' });
    const { command, first, shell } = npmCommand();
    attempt('BullMQ', command, [...first, 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd: folder,
      shell,
    });
    symlinkSync(root, path.join(folder, 'node_modules', 'tokenlearner'));
    markFresh('deploy-queue', inputs);
  }
  cpSync(source, folder, { recursive: true, filter: (file) => path.basename(file) !== 'node_modules' });
  return { TEST_QUEUE: folder };
}

/** Ray, and nginx in front of its servers. */
function prepareServers() {
  demandProgram('nginx', 'nginx-light');
  return prepareRay();
}

/** Ray, and a command line that takes many files. */
function prepareOffline() {
  const help = output(process.execPath, [path.join('dist', 'cli', 'main.js'), 'run', '--help']);
  if (!help?.includes('--output-dir')) throw new Unavailable('tokenlearner run has no --output-dir');
  return prepareRay();
}

/** A Python environment with Ray. */
function prepareRay() {
  const folder = path.join(work, 'ray');
  const python = path.join(folder, 'bin', 'python');
  const requirements = path.join(root, 'deploy', 'ray', 'requirements.txt');
  const inputs = hashInputs(['deploy/ray/requirements.txt']);
  if (!isFresh('deploy-ray', inputs) || !existsSync(python)) {
    markStale('deploy-ray');
    rmSync(folder, { recursive: true, force: true });
    attempt('a Python environment', systemPython() ?? 'python3', ['-m', 'venv', folder]);
    attempt('Ray', python, [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--retries',
      '0',
      '--requirement',
      requirements,
    ]);
    markFresh('deploy-ray', inputs);
  }
  return { TEST_RAY: python };
}

const SUITES = { queue: prepareQueue, ray: prepareServers, offline: prepareOffline };

/** The suites that can run, each with the environment variables of its tests. */
function prepare(names) {
  mkdirSync(work, { recursive: true });
  return names.flatMap((name) => {
    try {
      return [{ name, env: SUITES[name]() }];
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      say(`SKIP  ${name}: ${error.message}`);
      return [];
    }
  });
}

/** Runs the tests of the suites, and writes their counts. Throws if one fails. */
async function test(names) {
  const counts = { numPassedTests: 0, numFailedTests: 0, numRuntimeErrorTestSuites: 0 };
  const files = names.map((name) => path.join(root, 'test', 'deploy', 'live', `${name}.test.mjs`));
  const events = runTests({ files, concurrency: 1, timeout: TIMEOUT_MS });
  const isTest = ({ details }) => details.type !== 'suite';
  events.on('test:pass', (event) => (counts.numPassedTests += isTest(event) ? 1 : 0));
  events.on('test:fail', (event) => (counts.numFailedTests += isTest(event) ? 1 : 0));
  for await (const text of events.compose(new spec())) process.stdout.write(text);
  mkdirSync(path.dirname(RESULTS), { recursive: true });
  writeFileSync(RESULTS, JSON.stringify(counts));
  if (counts.numFailedTests > 0) throw new SetupError(`${counts.numFailedTests} tests failed`);
}

if (isMain(import.meta.url)) {
  await main(async () => {
    const { positionals } = commandLine({}, { allowPositionals: true });
    const strange = positionals.find((name) => !(name in SUITES));
    if (strange !== undefined)
      throw new SetupError(`Expected one of ${Object.keys(SUITES).join(', ')} but received ${strange}`);
    if (!existsSync(path.join(root, 'dist', 'cli', 'main.js')))
      throw new SetupError('There is no dist/: npm run setup makes it');
    const ready = prepare(positionals.length > 0 ? positionals : Object.keys(SUITES));
    process.env.PATH = PATH;
    Object.assign(process.env, ...ready.map(({ env }) => env));
    if (ready.length > 0) await test(ready.map(({ name }) => name));
  });
}
