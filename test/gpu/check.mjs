/**
 * Checks a built package on a GPU: parity, faults, and the bench against PyTorch. It needs Node, libtorch, the built package
 * (dist/ and the addon with its run-time dependencies) and test/bench/workloads.json. The bench also needs Python with torch.
 *
 *     node test/gpu/check.mjs [--parity] [--faults] [--bench] [--python python3] [--output results.json]
 *
 * Without a choice it runs all three. Exit codes: 0 if all checks pass, 1 if one fails, 77 if there is no usable GPU.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { runtime } from '../../dist/index.mjs';
import { attempt } from './attempt.mjs';
import { runBench } from './bench.mjs';
import { runFaults } from './faults.mjs';
import { runParity } from './parity.mjs';

const SKIPPED = 77;

const { values } = parseArgs({
  options: {
    parity: { type: 'boolean', default: false },
    faults: { type: 'boolean', default: false },
    bench: { type: 'boolean', default: false },
    python: { type: 'string', default: 'python3' },
    output: { type: 'string' },
  },
});
const all = !values.parity && !values.faults && !values.bench;

const info = runtime.info();
if (!info.cuda.available) {
  console.log(`SKIPPED: no usable GPU: ${info.cuda.detail ?? info.problem?.message} (${info.cuda.reason})`);
  process.exit(SKIPPED);
}

const report = { date: new Date().toISOString(), info, failures: [] };
const check = (name, ok, detail = '') => {
  console.log(`${ok ? 'ok    ' : 'FAILED'}  ${name}${detail === '' ? '' : `  ${detail}`}`);
  if (!ok) report.failures.push({ name, detail });
};

if (all || values.parity) report.parity = await attempt(check, 'parity', () => runParity(check));
if (all || values.faults) await runFaults(check);
if (all || values.bench) {
  report.bench = await attempt(check, 'bench', () => runBench({ python: values.python }));
}

if (values.output !== undefined) {
  mkdirSync(path.dirname(path.resolve(values.output)), { recursive: true });
  writeFileSync(values.output, `${JSON.stringify(report, null, 2)}\n`);
}
console.log(
  `\n${report.failures.length === 0 ? 'All passed' : `${report.failures.length} FAILED`} on ${info.devices[1]?.name}`,
);
process.exitCode = report.failures.length === 0 ? 0 : 1;
