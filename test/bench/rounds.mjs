/**
 * Interleaved timing: in each round every contender runs a block in turn, one at a time, in an order that moves on by one each
 * round. So whatever else the machine does falls on all of them.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from './statistics.mjs';

/** A block takes about this long, in milliseconds, unless a single run takes longer. */
const BLOCK = 150;
const MAXIMUM_BLOCK_RUNS = 200;

/** After a run, a contender's threads may spin for some milliseconds before they sleep. */
const PAUSE = 30;

/**
 * @param runners - [{id, run}], warm already; `run(iterations)` resolves to {times_ms}.
 * @param pace - {seconds, minimumRounds, maximumRounds}.
 * @returns id -> milliseconds of each run, in the order in which they were taken.
 */
export async function interleave(runners, pace) {
  const results = new Map(runners.map(({ id }) => [id, []]));
  const blocks = await calibrate(runners);
  const roundSeconds = runners.reduce((sum, { id }) => sum + PAUSE + blocks.get(id).ms, 0) / 1000;
  const rounds = Math.round(
    Math.min(pace.maximumRounds, Math.max(pace.minimumRounds, pace.seconds / roundSeconds)),
  );
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < runners.length; i++) {
      const { id, run } = runners[(round + i) % runners.length];
      await sleep(PAUSE);
      const { times_ms: times } = await run(blocks.get(id).iterations);
      results.get(id).push(...times);
    }
  }
  return results;
}

/** id -> {iterations, ms} of a block. */
async function calibrate(runners) {
  const blocks = new Map();
  for (const { id, run } of runners) {
    await sleep(PAUSE);
    let { times_ms: times } = await run(1);
    if (times[0] < BLOCK) ({ times_ms: times } = await run(3));
    const once = median(times);
    const iterations = Math.min(MAXIMUM_BLOCK_RUNS, Math.max(1, Math.round(BLOCK / once)));
    blocks.set(id, { iterations, ms: iterations * once });
  }
  return blocks;
}
