/** 10,000 forwards of mixed sizes: the memory of the device and of the process stays level. */
import { execFileSync } from 'node:child_process';
import { Batcher, Tensor, TokenLearner } from '../../dist/index.mjs';

const FORWARDS = 10_000;
const WARM_UPS = 1000;
const AT_ONCE = 16;
/** What the allocators may still grow by. One leaked input a forward would be 1.5 GB. */
const SLACK_BYTES = 64e6;

function ask(...query) {
  return execFileSync('nvidia-smi', [...query, '--format=csv,noheader,nounits', '--id=0'], {
    encoding: 'utf8',
  });
}

/** The GPU's memory that this process has; where nvidia-smi does not list processes, what all have. */
function deviceBytes(device) {
  if (device === 'cpu') return 0;
  const rows = ask('--query-compute-apps=pid,used_memory').trim().split('\n');
  const own = rows.map((row) => row.split(',').map(Number)).find(([pid]) => pid === process.pid);
  return (
    (own === undefined || Number.isNaN(own[1]) ? Number(ask('--query-gpu=memory.used')) : own[1]) * 2 ** 20
  );
}

async function forwards(count, run) {
  for (let i = 0; i < count; i += AT_ONCE) {
    const results = await Promise.all(Array.from({ length: AT_ONCE }, (_, j) => run(i + j)));
    for (const tokens of results) tokens.dispose();
  }
}

export async function checkMemory(check, device) {
  const model = new TokenLearner({ dim: 128, device });
  const batcher = new Batcher(model);
  const inputs = Array.from({ length: 48 }, (_, i) => Tensor.randn([1 + (i % 3), 128, 5 + (i % 11), 14]));
  const there = inputs.map((x) => x.to(device));
  const run = (i) => {
    const x = (i % 2 === 0 ? inputs : there)[i % inputs.length];
    return i % 3 === 0 ? batcher.forward(x) : model.forward(x);
  };
  await forwards(WARM_UPS, run);
  const device0 = deviceBytes(device);
  const host0 = process.memoryUsage().rss;
  await forwards(FORWARDS, run);
  const grown = deviceBytes(device) - device0;
  const host = process.memoryUsage().rss - host0;
  check(`${FORWARDS} forwards: the device's memory is level`, grown <= SLACK_BYTES, `${grown / 1e6} MB more`);
  check(
    `${FORWARDS} forwards: the process's memory is level`,
    host <= 2 * SLACK_BYTES,
    `${host / 1e6} MB more`,
  );
  await batcher.close();
}
