/**
 * AotiModel beside PyTorch running the same package: `node test/bench/aoti.mjs [rounds]`. PYTHON names a Python with torch. Prints ratios of medians, ours to PyTorch's,
 * of interleaved rounds in two processes, and the cost of an awaited call: that of the program that does next to nothing.
 */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { AotiModel, runtime, Tensor } from '../../dist/index.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const folder = path.join(here, '..', '..', 'build', 'aoti-bench');
const rounds = Number(process.argv[2] ?? 7);
/** Name, batch, shape of an input, and runs in a round. */
const CASES = [
  ['vit', 1, [3, 224, 224], 5],
  ['vit', 8, [3, 224, 224], 2],
  ['tiny', 1, [4], 2000],
];

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

function startPeer() {
  mkdirSync(folder, { recursive: true });
  const child = spawn(process.env.PYTHON ?? 'python3', [path.join(here, 'python', 'aoti_peer.py'), folder], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('The Python process ended: PYTHON must name one with torch');
    return JSON.parse(value);
  };
  return {
    next,
    ask: (name, batch, runs) => {
      child.stdin.write(`${name} ${batch} ${runs}\n`);
      return next();
    },
    end: () => child.stdin.end(),
  };
}

async function ours(model, input, runs) {
  const times = [];
  for (let i = 0; i < runs; i++) {
    const started = process.hrtime.bigint();
    const output = await model.forward(input);
    times.push(Number(process.hrtime.bigint() - started) / 1e3);
    output.dispose();
  }
  return median(times);
}

const peer = startPeer();
const { torch } = await peer.next();
console.log(
  `${os.cpus()[0]?.model}, ${os.availableParallelism()} cores, load ${os.loadavg()[0].toFixed(1)}; PyTorch ${torch}`,
);
for (const [name, batch, shape, runs] of CASES) {
  const model = await AotiModel.load(path.join(folder, `${name}.pt2`), { trusted: true });
  const input = Tensor.randn([batch, ...shape]);
  await ours(model, input, 2);
  // Only awaited: a thread that also computes would have OpenMP threads of its own, and with more threads than cores they stop waiting actively.
  const [awaited, theirs, ratios] = [[], [], []];
  for (let i = 0; i < rounds; i++) {
    const own = await ours(model, input, runs);
    const { median: other } = await peer.ask(name, batch, runs);
    awaited.push(own);
    theirs.push(other);
    ratios.push(own / other);
  }
  console.log(
    `${name}, batch ${batch}: awaited ${median(awaited).toFixed(1)} us, PyTorch ${median(theirs).toFixed(1)} us; ` +
      `awaited / PyTorch ${median(ratios).toFixed(3)}`,
  );
  model.dispose();
}
console.log(`threads: ${runtime.info().libtorch?.threads ?? '?'}`);
peer.end();
