/**
 * The GPU bench: ours and PyTorch's, interleaved in one run, on tensors that are already on the GPU. Our times are those of
 * awaited forwards, so they include JavaScript and the thread hop. A deep queue hides both, as on a server.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Tensor, TokenLearner } from '../../dist/index.mjs';
import { firstProductFlops, WORKLOADS } from './workloads.mjs';

const ROUNDS = 5;
const PER_ROUND = 10;
const QUEUE = 8;
const MODES = [
  { name: 'float32', dtype: 'float32', allowTf32: false },
  { name: 'tf32', dtype: 'float32', allowTf32: true },
  { name: 'bfloat16', dtype: 'bfloat16', allowTf32: false },
];
const PEERS = ['eager', 'compile', 'matmul'];

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** One Python process. It answers requests in order. */
class Baseline {
  #process;
  #lines;

  constructor(python) {
    const script = path.join(path.dirname(fileURLToPath(import.meta.url)), 'baseline.py');
    this.#process = spawn(python, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
    // If Python is missing or ends, its lines end. ask() reports that.
    this.#process.on('error', () => undefined);
    this.#process.stdin.on('error', () => undefined);
  }

  async ask(request) {
    this.#process.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('The Python baseline ended');
    return JSON.parse(value);
  }

  close() {
    this.#process.stdin.end();
  }
}

function ours(workload, mode, engine) {
  const { dim, ffMult, tokens, leading, height, width } = workload;
  const model = new TokenLearner({
    dim,
    ffMult,
    numOutputTokens: tokens,
    device: 'cuda',
    dtype: mode.dtype,
    allowTf32: mode.allowTf32,
    engine,
  });
  const x = Tensor.randn([...leading, dim, height, width])
    .to(mode.dtype)
    .to('cuda');
  return {
    /** The milliseconds per forward, with one request at a time and with QUEUE requests submitted together. */
    async run(iterations) {
      const latency = [];
      const throughput = [];
      for (let i = 0; i < iterations; i++) {
        let started = performance.now();
        (await model.forward(x)).dispose();
        latency.push(performance.now() - started);
        started = performance.now();
        for (const result of await Promise.all(Array.from({ length: QUEUE }, () => model.forward(x))))
          result.dispose();
        throughput.push((performance.now() - started) / QUEUE);
      }
      return { latency, throughput };
    },
    close() {
      model.dispose();
      x.dispose();
    },
  };
}

async function benchOne(baseline, workload, mode) {
  const contenders = {
    fused: ours(workload, mode, 'fused'),
    groupedConv: ours(workload, mode, 'grouped-conv'),
  };
  const times = {};
  const add = (name, values) => (times[name] ??= []).push(...values);
  for (const contender of Object.values(contenders)) await contender.run(3);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, contender] of Object.entries(contenders)) {
      const { latency, throughput } = await contender.run(PER_ROUND);
      add(`${name} latency`, latency);
      add(`${name} throughput`, throughput);
    }
    for (const peer of PEERS) {
      // max-autotune compiles for minutes. So measure it once, next to our own runs of the first round.
      if (peer === 'compile' && round > 0) continue;
      const ready = await baseline.ask({ op: 'setup', workload, peer, mode: mode.name });
      const answer = ready.ok ? await baseline.ask({ op: 'run', iterations: PER_ROUND }) : ready;
      if (answer.times_ms) add(peer, answer.times_ms);
      else console.log(`  ${peer}: ${answer.error}`);
    }
  }
  for (const contender of Object.values(contenders)) contender.close();
  const medians = Object.fromEntries(Object.entries(times).map(([name, values]) => [name, median(values)]));
  return {
    workload: workload.name,
    mode: mode.name,
    medians_ms: medians,
    tflops: firstProductFlops(workload) / medians['fused throughput'] / 1e9,
  };
}

function print({ workload, mode, medians_ms: ms, tflops }) {
  const ratio = (peer) =>
    ms[peer] === undefined ? '-' : `${(ms[peer] / ms['fused throughput']).toFixed(2)}x`;
  console.log(
    `${workload.padEnd(10)} ${mode.padEnd(9)} ours ${ms['fused throughput'].toFixed(3)} ms (latency ${ms['fused latency'].toFixed(3)}), ` +
      `${tflops.toFixed(0)} TFLOP/s; eager ${ratio('eager')}, compile ${ratio('compile')}, bare product ${ratio('matmul')}`,
  );
}

export async function runBench({ python }) {
  const baseline = new Baseline(python);
  try {
    const results = { versions: await baseline.ask({ op: 'versions' }), rows: [] };
    for (const mode of MODES) {
      for (const workload of WORKLOADS) {
        const row = await benchOne(baseline, workload, mode);
        print(row);
        results.rows.push(row);
      }
    }
    return results;
  } finally {
    baseline.close();
  }
}
