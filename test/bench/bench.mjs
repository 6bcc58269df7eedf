/**
 * `npm run bench`: measures this package and its peers on all workloads, in one run, and writes the results. The options are in options.mjs;
 * the published results in BENCHMARKS.md.
 */
import { describeCommit, describeMachine } from './machine.mjs';
import { ensurePeers } from './install-peers.mjs';
import { parseOptions, USAGE } from './options.mjs';
import { toTerminal } from './report.mjs';
import { Session } from './session.mjs';
import { gigaflops } from './workloads.mjs';
import { writeResults } from './write-results.mjs';
import { setup } from '../../scripts/setup.mjs';
import { main, say } from '../../scripts/tools.mjs';

// Above this load before the start, something else runs, and the report says so.
const QUIET = 0.5;

await main(async () => {
  if (process.argv.includes('--help')) return console.log(USAGE);
  const options = parseOptions(process.argv.slice(2));
  await setup();
  const session = new Session(ensurePeers(options), options.threads);
  const started = performance.now();
  const results = await measure(session, options);
  console.log(toTerminal(results));
  for (const file of writeResults(results, options)) say(`Written: ${file}`);
  say(`Measured in ${Math.round((performance.now() - started) / 1000)} s`);
});

async function measure(session, { workloads, contenders, threads, pace, quick }) {
  const machine = describeMachine();
  if (machine.load > QUIET) say(`The machine is not idle (load ${machine.load}): the timings will be noisy`);
  const available = contenders.filter((contender) => session.has(contender));
  const results = {
    date: new Date().toISOString(),
    commit: describeCommit(),
    quick,
    threads,
    machine,
    versions: await versions(session, available),
    workloads: [],
    overhead: await session.once('tokenlearner', 'overhead'),
  };
  for (const workload of workloads) {
    say(`${workload.name}: ${workload.from}`);
    const measured = await session.measure(workload, available, pace);
    results.workloads.push({ ...workload, gflop: gigaflops(workload), contenders: measured });
  }
  return results;
}

async function versions(session, contenders) {
  const programs = [...new Set(contenders.map(({ program }) => program))];
  const answers = [];
  for (const program of programs) answers.push(await session.once(program, 'versions'));
  return Object.assign({}, ...answers.reverse());
}
