/** What the smaller benchmarks, family.mjs and bfloat16.mjs, have in common: options, one run of all contenders, a table, a file. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { setup } from '../../scripts/setup.mjs';
import { root, say } from '../../scripts/tools.mjs';
import { ensurePeers } from './install-peers.mjs';
import { describeCommit, describeMachine } from './machine.mjs';
import { markdownTable, milliseconds } from './report.mjs';
import { Session } from './session.mjs';

const PACE = { seconds: 12, minimumRounds: 5, maximumRounds: 30 };

/**
 * Measures `contenders` on `workloads`, prints a table, and writes the results as `file`. The times are relative to the first contender.
 * `more` adds columns: each has a `title` and a function `cell(workload, measured)`. Options: --output FOLDER, --threads N, --only NAME,...
 */
export async function compare({ workloads, contenders, file, more = [] }) {
  const string = { type: 'string' };
  const { values } = parseArgs({ options: { output: string, threads: string, only: string } });
  const threads = Number(values.threads ?? availableParallelism());
  const only = values.only?.split(',');
  const folder = path.resolve(values.output ?? path.join(root, 'build', 'bench'));
  await setup();
  const session = new Session(ensurePeers({ install: true }), threads);
  const shown = contenders.filter((each) => session.has(each));
  const results = { commit: describeCommit(), threads, machine: describeMachine(), workloads: [] };
  for (const workload of workloads.filter(({ name }) => only === undefined || only.includes(name))) {
    say(`${workload.name}: ${workload.from}`);
    results.workloads.push({ ...workload, contenders: await session.measure(workload, shown, PACE) });
  }
  const rows = results.workloads.map((each) => [
    each.name,
    ...shown.map(({ id }) => time(each.contenders[id], each.contenders[shown[0].id])),
    ...more.map(({ cell }) => cell(each, each.contenders)),
  ]);
  const head = ['workload', ...shown.map(({ id }) => id), ...more.map(({ title }) => title)];
  console.log(markdownTable(head, rows).join('\n'));
  mkdirSync(folder, { recursive: true });
  const target = path.join(folder, file);
  writeFileSync(target, `${JSON.stringify(results, null, 1)}\n`);
  say(`Written: ${path.relative(root, target)}`);
}

function time(measured, first) {
  if (measured?.medianMs === undefined) return '–';
  if (measured === first) return milliseconds(measured.medianMs);
  return `${milliseconds(measured.medianMs)} (${(measured.medianMs / first.medianMs).toFixed(2)}×)`;
}
