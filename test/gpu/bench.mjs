/**
 * The GPU bench: ours and PyTorch's, interleaved in one run, on tensors that are already on the GPU. Both sides are timed alike, by
 * the wall clock: the latency of one forward that the caller's thread waits for (ours: forwardSync), and the throughput of several
 * that are submitted together, as on a server (ours: awaited together, so with JavaScript and the threads' hops). Beside them, our
 * latency when the promise is awaited.
 */
import { Tensor, TokenLearner } from '../../dist/index.mjs';
import { attempt } from './attempt.mjs';
import { Baseline } from './baseline.mjs';
import { runHost } from './host.mjs';
import { QUEUE, timeAll } from './rounds.mjs';
import { firstProductFlops } from './workloads.mjs';

const ENGINES = ['fused', 'grouped-conv'];
const PEERS = ['eager', 'compile', 'matmul'];
const WARM_UPS = 3;

/** About how long the timing of one row may take, without the set-up. */
const ROW_MILLISECONDS = 1500;

async function timed(work, count) {
  const started = performance.now();
  for (const result of await Promise.all(Array.from({ length: count }, work))) result.dispose();
  return (performance.now() - started) / count;
}

async function ours(engine, workload, mode, device) {
  const { dim, ffMult, tokens, leading, height, width } = workload;
  const { dtype, allowTf32 } = mode;
  const model = new TokenLearner({ dim, ffMult, numOutputTokens: tokens, device, dtype, allowTf32, engine });
  const x = Tensor.randn([...leading, dim, height, width])
    .to(dtype)
    .to(device);
  const forward = () => model.forward(x);
  await timed(forward, WARM_UPS);
  return {
    id: engine,
    async run(iterations, queue) {
      const samples = { latency_ms: [], throughput_ms: [], awaited_ms: [] };
      for (let i = 0; i < iterations; i++) {
        samples.latency_ms.push(await timed(() => model.forwardSync(x), 1));
        samples.awaited_ms.push(await timed(forward, 1));
        samples.throughput_ms.push(await timed(forward, queue));
      }
      return samples;
    },
    close() {
      model.dispose();
      x.dispose();
    },
  };
}

async function peer(id, baseline, workload, mode) {
  await baseline.ask('setup', { workload, peer: id, mode: mode.name });
  return {
    id,
    run: (iterations, queue) => baseline.ask('run', { peer: id, iterations, queue }),
    close: () => undefined,
  };
}

async function benchRow(baseline, workload, mode, { device, peers }) {
  const ready = [];
  const failed = {};
  try {
    for (const engine of ENGINES) ready.push(await ours(engine, workload, mode, device));
    for (const id of peers) {
      try {
        ready.push(await peer(id, baseline, workload, mode));
      } catch (error) {
        failed[id] = { failed: error.message.split('\n')[0] };
        console.log(`  ${id} is left out: ${failed[id].failed}`);
      }
    }
    const contenders = { ...(await timeAll(ready, ROW_MILLISECONDS)), ...failed };
    const tflops = firstProductFlops(workload) / contenders.fused.throughputMs / 1e9;
    return { workload: workload.name, mode: mode.name, contenders, tflops };
  } finally {
    for (const contender of ready) contender.close();
    await baseline.ask('reset');
  }
}

/** One line, such as `vit-b bfloat16  latency 0.50 ms (eager 2.1x)  throughput ...`. */
function describe({ workload, mode, contenders, tflops }) {
  const part = (name, key) => {
    const own = contenders.fused[key];
    const others = PEERS.flatMap((id) => {
      if (contenders[id] === undefined) return [];
      const { failed, [key]: time } = contenders[id];
      return [`${id} ${failed === undefined ? `${(time / own).toFixed(2)}x` : 'failed'}`];
    });
    return `${name} ${own.toFixed(3)} ms (${others.join(', ')})`;
  };
  const rate = `${tflops.toFixed(1)} TFLOP/s`;
  return `${workload.padEnd(10)} ${mode.padEnd(9)} ${part('latency', 'latencyMs')}  ${part('throughput', 'throughputMs')}, ${rate}`;
}

/**
 * @param rows - [{workload, mode}], as chooseRows gives them.
 * @param compile - with torch.compile, which takes minutes for each row.
 * @param seconds - no row begins later; those that are left are named in `left`.
 * @param save - receives the results after each row.
 */
export async function runBench(check, { python, device, rows, compile, seconds, save }) {
  const started = performance.now();
  const peers = PEERS.filter((id) => compile || id !== 'compile');
  const baseline = new Baseline(python, device);
  try {
    const results = { versions: await baseline.ask('versions'), queue: QUEUE, rows: [], left: [] };
    for (const { workload, mode } of rows) {
      const name = `${workload.name} ${mode.name}`;
      if (performance.now() - started > seconds * 1000) {
        results.left.push(name);
      } else {
        try {
          results.rows.push(await benchRow(baseline, workload, mode, { device, peers }));
          console.log(describe(results.rows.at(-1)));
        } catch (error) {
          check(`bench ${name}`, false, `${error.code ?? error.name}: ${error.message}`);
        }
      }
      save(results);
    }
    const host = await attempt(check, 'host', () => runHost(baseline, rows, device));
    save({ ...results, host });
    if (results.left.length > 0) console.log(`Not measured, for lack of time: ${results.left.join(', ')}`);
  } finally {
    baseline.close();
  }
}
