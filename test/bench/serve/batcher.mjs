/**
 * The batcher against one batch that is already assembled in memory, and a lone request against a plain forward. The contenders take
 * turns in one process; each number is a median over the rounds.
 *
 *   node test/bench/serve/batcher.mjs [--rounds N] [--seconds S] [--callers N] [--device cpu|cuda] [--output FILE]
 *
 * On a GPU the inputs and the results are in the host's memory, as on a server; so both include the copies.
 */
import { writeFileSync } from 'node:fs';
import { loadavg, cpus } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { Batcher, Tensor, TokenLearner } from '../../../dist/index.mjs';
import { WORKLOADS } from '../workloads.mjs';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1' },
    callers: { type: 'string', default: '64' },
    device: { type: 'string', default: 'cpu' },
    output: { type: 'string' },
  },
});
const rounds = Number(values.rounds);
const roundMs = Number(values.seconds) * 1e3;
const callers = Number(values.callers);

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

/** {dim, ffMult, numOutputTokens}, and the input of one caller. */
function workload(name, shapeOf) {
  const { dim, ffMult, numOutputTokens, shape } = WORKLOADS.find((each) => each.name === name);
  return {
    name,
    options: { dim, ffMult, numOutputTokens, device: values.device },
    shapeOf: (i) => shapeOf(shape, i),
  };
}

const CASES = [
  workload('cifar', (shape) => [1, ...shape.slice(1)]),
  workload('rt1-step', (shape) => shape),
  {
    ...workload('cifar', (shape, i) => [1, shape[1], 4 + (i % 9), 5 + (i % 7)]),
    name: 'mixed sizes',
  },
];

/** Images per second of one forward after the other, each with the inputs of all callers in one batch. */
async function assembled(model, batches) {
  const started = performance.now();
  let images = 0;
  while (performance.now() - started < roundMs) {
    for (const batch of batches) (await model.forward(batch)).dispose();
    images += callers;
  }
  return (images / (performance.now() - started)) * 1e3;
}

/** Requests per second of callers that each send the next request when the last one is answered. */
async function batched(batcher, inputs) {
  const started = performance.now();
  let done = 0;
  const caller = async (x) => {
    while (performance.now() - started < roundMs) {
      (await batcher.forward(x)).dispose();
      done += 1;
    }
  };
  await Promise.all(inputs.map(caller));
  return (done / (performance.now() - started)) * 1e3;
}

/**
 * Inputs of one size as one batch. Images of different sizes have no batch in memory, so there the batcher's own list, held until
 * all wait, is the measure.
 */
function batchesOf(inputs) {
  const bySize = new Map();
  for (const x of inputs) {
    const key = x.shape.join();
    bySize.set(key, [...(bySize.get(key) ?? []), x]);
  }
  return [...bySize.values()].map((same) => Tensor.cat(same, 0));
}

async function throughput({ name, options, shapeOf }) {
  const model = new TokenLearner(options);
  const inputs = Array.from({ length: callers }, (_, i) => Tensor.randn(shapeOf(i)));
  const batches = batchesOf(inputs);
  const batcher = new Batcher(model, { maxBatchSize: Infinity });
  const samples = { assembled: [], batched: [], ratio: [] };
  const delay = monitorEventLoopDelay({ resolution: 1 });
  for (let i = 0; i <= rounds; i++) {
    const one = await assembled(model, batches);
    const many = await batched(batcher, inputs);
    // In a run of its own: its timer, a thousand times a second, takes some 5 % of the requests of two busy cores.
    delay.enable();
    await batched(batcher, inputs);
    delay.disable();
    if (i === 0) {
      delay.reset();
      continue; // The first round warms up.
    }
    samples.assembled.push(one);
    samples.batched.push(many);
    samples.ratio.push(many / one);
  }
  const { batches: count, succeeded } = batcher.stats();
  return {
    case: name,
    'assembled /s': Math.round(median(samples.assembled)),
    'batcher /s': Math.round(median(samples.batched)),
    'ratio %': Number((100 * median(samples.ratio)).toFixed(1)),
    'requests per batch': Number((succeeded / count).toFixed(1)),
    'event loop p99 ms': Number((delay.percentile(99) / 1e6 - 1).toFixed(2)),
  };
}

/** Microseconds of one awaited call, the two in turns. */
async function lone({ name, options, shapeOf }) {
  const model = new TokenLearner(options);
  const x = Tensor.randn(shapeOf(0));
  const batcher = new Batcher(model);
  const times = { plain: [], batched: [] };
  const time = async (into, run) => {
    const started = performance.now();
    (await run()).dispose();
    into.push((performance.now() - started) * 1e3);
  };
  const end = performance.now() + roundMs * 2;
  while (performance.now() < end) {
    await time(times.plain, () => model.forward(x));
    await time(times.batched, () => batcher.forward(x));
  }
  return {
    case: name,
    'forward us': Math.round(median(times.plain)),
    'batcher us': Math.round(median(times.batched)),
    'difference us': Math.round(median(times.batched) - median(times.plain)),
  };
}

console.log(`${cpus().length} cores, ${cpus()[0].model}; load before: ${loadavg()[0].toFixed(1)}`);
const results = [];
for (const each of CASES) results.push(await throughput(each));
console.table(results);
const latencies = [];
for (const each of CASES) latencies.push(await lone(each));
console.table(latencies);
if (values.output !== undefined)
  writeFileSync(values.output, `${JSON.stringify({ results, latencies }, null, 1)}\n`);
console.log(`load after: ${loadavg()[0].toFixed(1)}`);
