/**
 * `npm run bench:check`: fails when the fused engine has lost its lead. It compares ratios of one run, the time of the fused engine by that of
 * the grouped convolutions on libtorch, never times: those depend on the machine. The bounds are in test/bench/bounds.json.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setup } from '../../scripts/setup.mjs';
import { isMain, main, root, SetupError } from '../../scripts/tools.mjs';
import { CONTENDERS, isOurs } from './contenders.mjs';
import { Session } from './session.mjs';
import { WORKLOADS } from './workloads.mjs';

const PACE = { seconds: 3, minimumRounds: 7, maximumRounds: 20 };

/** A slow moment of the machine is no regression: what is out of bounds is measured again, this often. */
const RETRIES = 3;

/** One thread, so that a busy neighbour cannot make one engine wait for its slower half. */
const THREADS = 1;

/**
 * @param measureRatio - resolves to the ratio of a workload, by its name.
 * @param bounds - the largest ratio that is allowed, by the workload's name.
 * @returns the workloads that were out of bounds each time, with what was measured: [{name, bound, ratios}].
 */
export async function findRegressions(measureRatio, bounds) {
  const found = [];
  for (const [name, bound] of Object.entries(bounds)) {
    const ratios = [];
    do ratios.push(await measureRatio(name));
    while (ratios.at(-1) > bound && ratios.length <= RETRIES);
    console.log(
      `${name}: fused takes ${ratios.at(-1).toFixed(2)} of the time of grouped-conv, at most ${bound} is allowed`,
    );
    if (!(ratios.at(-1) <= bound)) found.push({ name, bound, ratios });
  }
  return found;
}

if (isMain(import.meta.url)) {
  await main(async () => {
    await setup();
    const session = new Session({ onnxruntime: null, python: null }, THREADS);
    const measureRatio = async (name) => {
      const workload = WORKLOADS.find((each) => each.name === name);
      const results = await session.measure(workload, CONTENDERS.filter(isOurs), PACE);
      return results.fused.medianMs / results['grouped-conv'].medianMs;
    };
    const bounds = JSON.parse(readFileSync(path.join(root, 'test', 'bench', 'bounds.json'), 'utf8'));
    const regressions = await findRegressions(measureRatio, bounds);
    if (regressions.length === 0) return;
    throw new SetupError(`The fused engine is slower than it was: ${JSON.stringify(regressions)}`);
  });
}
