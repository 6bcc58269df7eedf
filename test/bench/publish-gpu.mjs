/**
 * `npm run gpu:publish -- FOLDER`: takes the results of the GPU checks, parity.json, faults.json, server.json, programs.json, bench.json and
 * perhaps compile.json, batcher.json, serve-cuda.json and kernels.jsonl, into test/bench/results, BENCHMARKS.md and README.md.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { commandLine, main, root, say, SetupError } from '../../scripts/tools.mjs';
import { gpuChart } from './gpu-report.mjs';
import { baseNameOf, combineReports, readFolder } from './gpu-results.mjs';
import { PUBLISHED } from './options.mjs';
import { renewPages } from './write-results.mjs';

await main(() => {
  const { positionals } = commandLine({}, { allowPositionals: true });
  if (positionals.length !== 1) throw new SetupError('Expected the folder with the results');
  const { reports, times } = readFolder(positionals[0]);
  const results = combineReports(reports, times);
  const base = path.join(PUBLISHED, baseNameOf(results.card));
  writeFileSync(`${base}.json`, `${JSON.stringify(results, null, 1)}\n`);
  writeFileSync(`${base}.svg`, gpuChart(results));
  for (const file of [`${base}.json`, `${base}.svg`].map((name) => path.relative(root, name)))
    say(`Written: ${file}`);
  for (const file of renewPages()) say(`Written: ${file}`);
});
