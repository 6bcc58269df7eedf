/** The timing of one row of the bench. All contenders take the same number of samples, in turn. */
import { median } from '../bench/statistics.mjs';

/** The number of forwards that are submitted together for a sample of the throughput. */
export const QUEUE = 8;

const ROUNDS = 5;
const MOST_PER_ROUND = 10;

/**
 * @param contenders - [{id, run}], warm already. `run(iterations, queue)` resolves to {latency_ms, throughput_ms}, `iterations`
 *   samples each: the time of one forward alone, and that of `queue` forwards submitted together, divided by `queue`. Ours have
 *   awaited_ms too: one forward alone whose promise is awaited.
 * @param milliseconds - about how long all of it may take. Each contender takes at least one sample a round.
 * @returns id -> {latencyMs, throughputMs, awaitedMs, samples}: the medians.
 */
export async function timeAll(contenders, milliseconds) {
  const iterations = await samplesPerRound(contenders, milliseconds);
  const times = new Map(contenders.map(({ id }) => [id, { latency: [], throughput: [], awaited: [] }]));
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < contenders.length; i++) {
      const { id, run } = contenders[(round + i) % contenders.length];
      const { latency_ms: latency, throughput_ms: throughput, awaited_ms } = await run(iterations, QUEUE);
      times.get(id).latency.push(...latency);
      times.get(id).throughput.push(...throughput);
      times.get(id).awaited.push(...(awaited_ms ?? []));
    }
  }
  const summary = ({ latency, throughput, awaited }) => ({
    latencyMs: median(latency),
    throughputMs: median(throughput),
    ...(awaited.length > 0 && { awaitedMs: median(awaited) }),
    samples: latency.length,
  });
  return Object.fromEntries([...times].map(([id, measured]) => [id, summary(measured)]));
}

/** One number for all contenders, by the time that one sample of each takes. */
async function samplesPerRound(contenders, milliseconds) {
  let once = 0;
  for (const { run } of contenders) {
    const { latency_ms: latency, throughput_ms: throughput } = await run(1, QUEUE);
    once += latency[0] + QUEUE * throughput[0];
  }
  return Math.min(MOST_PER_ROUND, Math.max(1, Math.floor(milliseconds / ROUNDS / once)));
}
