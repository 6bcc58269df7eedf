/**
 * `npm run bench:family`: the other TokenLearners against PyTorch and onnxruntime on the same mathematics, interleaved, each contender in a
 * process of its own.
 *
 *     npm run bench:family [-- [--output FOLDER] [--threads N] [--only NAME,...]]
 *
 * Prints a table, and writes family-cpu.json into the folder (default: build/bench). docs/which-tokenlearner.md has those of
 * test/bench/results.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { setup } from '../../scripts/setup.mjs';
import { main, root, say } from '../../scripts/tools.mjs';
import { CONTENDERS } from './contenders.mjs';
import { ensurePeers } from './install-peers.mjs';
import { describeCommit, describeMachine } from './machine.mjs';
import { markdownTable, milliseconds } from './report.mjs';
import { Session } from './session.mjs';
import { FAMILY } from './workloads.mjs';

const CONTENDER_IDS = ['fused', 'eager', 'compile', 'ort-node', 'ort-python'];
const PACE = { seconds: 12, minimumRounds: 5, maximumRounds: 30 };

const OURS = { id: 'libtorch', label: 'tokenlearner, libtorch', program: 'tokenlearner', peer: 'libtorch' };

function contenders() {
  const chosen = CONTENDERS.filter(({ id }) => CONTENDER_IDS.includes(id));
  return [...chosen.slice(0, 1), { ...OURS, form: 'repeated' }, ...chosen.slice(1)];
}

/** Multiply-adds of one forward, in units of 10^9: C * D + D * G + C * G a pixel for v1.1; nine C * G and the sum for v1.0. */
function gigaMultiplyAdds({ module, dim, numOutputTokens: tokens, bottleneckDim = 64, shape }) {
  const pixels = shape.reduce((product, size) => product * size, 1) / dim;
  const each =
    module === 'TokenLearnerV11'
      ? dim * bottleneckDim + bottleneckDim * tokens + dim * tokens
      : 9 * dim * tokens + 27 * tokens * tokens + dim * tokens;
  return (pixels * each) / 1e9;
}

function row(shown, { name, contenders: measured, gigaMultiplyAdds: work }) {
  const own = measured.fused.medianMs;
  return [
    name,
    ...shown.map(({ id }) => {
      const time = measured[id]?.medianMs;
      if (time === undefined) return '–';
      return id === 'fused' ? milliseconds(time) : `${milliseconds(time)} (${(time / own).toFixed(2)}×)`;
    }),
    `${((2 * work * 1e3) / own).toFixed(0)}`,
  ];
}

await main(async () => {
  const string = { type: 'string' };
  const { values } = parseArgs({ options: { output: string, threads: string, only: string } });
  const threads = Number(values.threads ?? availableParallelism());
  const only = values.only?.split(',');
  const workloads = FAMILY.filter(({ name }) => only === undefined || only.includes(name));
  const folder = path.resolve(values.output ?? path.join(root, 'build', 'bench'));
  await setup();
  const session = new Session(ensurePeers({ install: true }), threads);
  const shown = contenders().filter((each) => session.has(each));
  const results = { commit: describeCommit(), threads, machine: describeMachine(), workloads: [] };
  for (const workload of workloads) {
    say(`${workload.name}: ${workload.from}`);
    const measured = await session.measure(workload, shown, PACE);
    results.workloads.push({
      ...workload,
      gigaMultiplyAdds: gigaMultiplyAdds(workload),
      contenders: measured,
    });
  }
  const head = ['workload', ...shown.map(({ id }) => id), 'GFLOP/s of fused'];
  console.log(
    markdownTable(
      head,
      results.workloads.map((each) => row(shown, each)),
    ).join('\n'),
  );
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, 'family-cpu.json');
  writeFileSync(file, `${JSON.stringify(results, null, 1)}\n`);
  say(`Written: ${path.relative(root, file)}`);
});
