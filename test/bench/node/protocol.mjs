/**
 * The Node side of the benchmark's protocol, the same as that of ../python/peer.py: one JSON object a line on stdin; for each, in
 * order, one JSON object a line on stdout. The process ends with stdin.
 *
 *     {"op": "versions"}                               -> strings by name
 *     {"op": "setup", "peer", "threads", "data", ...}  -> {"details", "base_rss_mb"}
 *     {"op": "run", "iters"}                           -> {"times_ms": [...], "peak_rss_mb"}
 *     {"op": "verify", "expected"}                     -> {"error"}: relative L2 distance of the last output to the float64 one
 *     anything that fails                              -> {"error": message, "failed": true}; the process lives on
 *
 * `data` is a safetensors file with `input` and the parameters, `expected` one with float64 `tokens`. `base_rss_mb` is the resident memory
 * with the libraries loaded and before the model is.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { loadSafetensors } from '../../../dist/index.mjs';

/** Answers requests until stdin ends. `operations` map a name to an asynchronous function of the request. */
export async function serve(operations) {
  // Libraries may print to stdout, which belongs to the protocol.
  console.log = console.error;
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() === '') continue;
    process.stdout.write(`${JSON.stringify(await answer(operations, line))}\n`);
  }
}

async function answer(operations, line) {
  try {
    const { op, ...request } = JSON.parse(line);
    if (!Object.hasOwn(operations, op)) throw new Error(`There is no operation ${op}`);
    return await operations[op](request);
  } catch (error) {
    return { error: String(error), failed: true };
  }
}

/**
 * The operations of a contender. `setup` resolves to {base, details, run, output}: `run()` is one forward, awaited, and `output()` its
 * last result as a Float32Array.
 */
export function contender(setup) {
  let current = null;
  const required = () => current ?? fail('setup comes first');
  return {
    async setup(request) {
      current = await setup(request);
      await current.run();
      return { details: current.details, base_rss_mb: current.base };
    },
    async run({ iters }) {
      const { run } = required();
      const times = [];
      for (let i = 0; i < iters; i++) {
        const started = performance.now();
        await run();
        times.push(performance.now() - started);
      }
      return { times_ms: times, peak_rss_mb: memoryMb('VmHWM') };
    },
    async verify({ expected }) {
      const { tokens } = await loadSafetensors(expected);
      return { error: relativeL2(required().output(), tokens.data) };
    },
  };
}

/** VmRSS (now) or VmHWM (the peak) of this process; null where the system does not tell. */
export function memoryMb(field) {
  try {
    const found = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'));
    return found && Number(found[1]) / 1024;
  } catch {
    return null;
  }
}

function relativeL2(actual, expected) {
  if (actual.length !== expected.length) fail(`${actual.length} numbers instead of ${expected.length}`);
  let error = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    error += (actual[i] - expected[i]) ** 2;
    norm += expected[i] ** 2;
  }
  return Math.sqrt(error / norm);
}

function fail(message) {
  throw new Error(message);
}
