/**
 * Latency from tensors in the host's memory to tensors in the host's memory, as a server has them: ours awaited and by forwardSync,
 * PyTorch eager with its copies, and the two copies alone, by PyTorch from and to page-locked memory.
 */
import { Tensor, TokenLearner } from '../../dist/index.mjs';
import { median } from '../bench/statistics.mjs';

const WORKLOADS = ['doc-1', 'zeta-test', 'rt1-step'];
const PEERS = ['copies', 'eager-host'];
const ROUNDS = 5;
const SAMPLES = 40;

async function sample(run) {
  const started = performance.now();
  (await run()).dispose();
  return (performance.now() - started) * 1e3;
}

function ours(workload, mode, device) {
  const { dim, ffMult, tokens, leading, height, width } = workload;
  const { dtype, allowTf32 } = mode;
  const model = new TokenLearner({ dim, ffMult, numOutputTokens: tokens, device, dtype, allowTf32 });
  const x = Tensor.randn([...leading, dim, height, width]).to(dtype);
  const pinned = device === 'cpu' ? x : Tensor.empty(x.shape, { dtype, pinned: true });
  pinned.data.set(x.data);
  const there = x.to(device);
  return {
    awaited: () => model.forward(x),
    sync: () => model.forwardSync(x),
    'awaited, page-locked': () => model.forward(pinned),
    'sync, page-locked': () => model.forwardSync(pinned),
    'sync, on the GPU': () => model.forwardSync(there),
  };
}

async function timeHost(baseline, workload, mode, device) {
  const contenders = ours(workload, mode, device);
  const samples = Object.fromEntries([...Object.keys(contenders), ...PEERS].map((id) => [id, []]));
  for (const peer of PEERS) await baseline.ask('setup', { workload, peer, mode: mode.name });
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [id, run] of Object.entries(contenders)) {
      for (let i = 0; i < SAMPLES; i++) {
        const time = await sample(run);
        // The first round warms up.
        if (round > 0) samples[id].push(time);
      }
    }
    for (const peer of PEERS) {
      const { latency_ms: times } = await baseline.ask('run', { peer, iterations: SAMPLES, queue: 1 });
      if (round > 0) samples[peer].push(...times.map((time) => time * 1e3));
    }
  }
  await baseline.ask('reset');
  return Object.fromEntries(Object.entries(samples).map(([id, times]) => [id, median(times)]));
}

/** [{workload, mode, us: {contender -> microseconds}}]. `rows`: those of the bench. */
export async function runHost(baseline, rows, device) {
  const results = [];
  for (const { workload, mode } of rows.filter(({ workload: { name } }) => WORKLOADS.includes(name))) {
    const us = await timeHost(baseline, workload, mode, device);
    results.push({ workload: workload.name, mode: mode.name, us });
    const shown = Object.entries(us).map(([id, time]) => `${id} ${time.toFixed(0)}`);
    console.log(
      `${workload.name.padEnd(10)} ${mode.name.padEnd(9)} from and to the host, us: ${shown.join('; ')}`,
    );
  }
  return results;
}
