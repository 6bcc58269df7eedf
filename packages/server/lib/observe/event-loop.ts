import type { Histogram } from 'prom-client';

/** In milliseconds. */
const PERIOD = 20;

/** Observes how late a timer is. Returns the function that stops it. */
export function eventLoopSampler(histogram: Histogram): () => void {
  let due = performance.now() + PERIOD;
  const timer = setInterval(() => {
    const now = performance.now();
    histogram.observe(Math.max(0, now - due) / 1000);
    due = now + PERIOD;
  }, PERIOD);
  timer.unref();
  return () => {
    clearInterval(timer);
  };
}
