/** Figures of a run of load. */

/** The value that a share of sorted numbers is at most; null without numbers. */
export function quantile(sorted, share) {
  return sorted.length === 0
    ? null
    : sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
}

const rounded = (value) => (value === null ? null : Number(value.toFixed(2)));

/**
 * The figures of one run.
 *
 * @param samples - {latencies: ms from the time that a request was due to its answer, rejected, failed, unsent, seconds}
 * @param deadlineMs - what is later is no goodput
 */
export function summarise({ latencies, rejected, failed, unsent, seconds }, deadlineMs) {
  const sorted = Float64Array.from(latencies).sort();
  const inTime = sorted.filter((ms) => ms <= deadlineMs).length;
  return {
    throughput: rounded(sorted.length / seconds),
    goodput: rounded(inTime / seconds),
    p50Ms: rounded(quantile(sorted, 0.5)),
    p99Ms: rounded(quantile(sorted, 0.99)),
    answered: sorted.length,
    rejected,
    failed,
    unsent,
  };
}

/** A generator of numbers from 0 to 1, the same in every run. */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The times in seconds at which requests of a Poisson process are due. */
export function* arrivals(rate, seconds, seed) {
  const next = random(seed);
  for (let at = -Math.log(1 - next()) / rate; at < seconds; at -= Math.log(1 - next()) / rate) yield at;
}
