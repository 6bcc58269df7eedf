/**
 * Checks a built package on a GPU: parity, faults, the server, compiled programs, and the bench against PyTorch. It needs Node, libtorch, the
 * built packages (dist/ and the addon with the run-time dependencies) and test/bench/workloads.json; programs and the bench also need Python with
 * torch.
 * carry.mjs takes all of it to a machine that has no Node and no network.
 *
 *     node test/gpu/check.mjs [--parity] [--faults] [--server] [--programs] [--bench] [OPTION]...
 *
 * Without a choice it runs all. USAGE lists the options. Exit codes: 0 if all checks pass, 1 if one fails, 2 for a wrong
 * command line, 77 if there is no usable GPU.
 */
import { runtime } from '../../dist/index.mjs';
import { describeCommit } from '../bench/machine.mjs';
import { attempt } from './attempt.mjs';
import { runBench } from './bench.mjs';
import { runFaults } from './faults.mjs';
import { parseOptions, USAGE } from './options.mjs';
import { runParity } from './parity.mjs';
import { runPrograms } from './programs.mjs';
import { Report } from './report.mjs';
import { runServer } from './server.mjs';

const WRONG_USAGE = 2;
const SKIPPED = 77;

function readOptions() {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${error.message}\n\n${USAGE}`);
    return process.exit(WRONG_USAGE);
  }
}

const options = readOptions();
const info = runtime.info();
if (options.device === 'cuda' && !info.cuda.available) {
  console.log(`SKIPPED: no usable GPU: ${info.cuda.detail ?? info.problem?.message} (${info.cuda.reason})`);
  process.exit(SKIPPED);
}
if (info.libtorch.state === 'missing') throw new Error(info.problem?.message);

const report = new Report(options.output, {
  date: new Date().toISOString(),
  commit: process.env.TOKENLEARNER_COMMIT ?? describeCommit(),
  device: options.device,
  seed: options.seed,
  info,
});
const check = (name, ok, detail = '') => report.check(name, ok, detail);

if (options.parity) {
  const save = (results) => report.set('parity', results);
  await attempt(check, 'parity', () => runParity(check, { ...options, save }));
}
if (options.faults) await runFaults(check, { ...options, libtorchVersion: info.libtorch.version });
if (options.server) await attempt(check, 'server', () => runServer(check, options));
if (options.programs) await attempt(check, 'programs', () => runPrograms(check, options));
if (options.bench) {
  const save = (results) => report.set('bench', results);
  await attempt(check, 'bench', () => runBench(check, { ...options, save }));
}

const failures = report.finish();
const name = options.device === 'cpu' ? 'the CPU, in the place of a GPU' : info.devices[1]?.name;
console.log(`\n${failures === 0 ? 'All passed' : `${failures} FAILED`} on ${name}`);
process.exitCode = failures === 0 ? 0 : 1;
