/** The cost of one `await model.forward(x)` besides the computation. */
import { Tensor, TokenLearner } from '../../../dist/index.mjs';

const CALLS = 4000;
const BLOCKS = 20;
const BLOCK_CALLS = 25;

/**
 * Two measures, in microseconds:
 * - `smallest_us`: the median of a whole awaited forward of one number through the smallest layer. There is next to nothing to compute,
 *   so all of it is overhead: validation, marshalling, a turn of the event loop, the result's tensor.
 * - `handover_us`: on an input that takes the engine a while, the median of awaited forwards, one after the other, less that of forwardSync:
 *   the price of leaving the event loop free, the way to the executor thread and back. In short blocks of each, in turn.
 */
export async function measureOverhead() {
  const smallest = new TokenLearner({
    dim: 1,
    ffMult: 1,
    numOutputTokens: 1,
    device: 'cpu',
    intraOpThreads: 1,
  });
  const one = Tensor.ones([1, 1, 1]);
  for (let i = 0; i < CALLS / 4; i++) await smallest.forward(one);
  const times = [];
  for (let i = 0; i < CALLS; i++) times.push(await microseconds(() => smallest.forward(one)));
  return { smallest_us: median(times), ...(await handover()) };
}

async function handover() {
  const model = new TokenLearner({ dim: 64, device: 'cpu', intraOpThreads: 1 });
  const x = Tensor.randn([64, 16, 16]);
  const awaited = [];
  const synchronous = [];
  for (let block = 0; block < BLOCKS; block++) {
    for (let i = 0; i < BLOCK_CALLS; i++) awaited.push(await microseconds(() => model.forward(x)));
    for (let i = 0; i < BLOCK_CALLS; i++) synchronous.push(await microseconds(() => model.forwardSync(x)));
  }
  return { handover_us: median(awaited) - median(synchronous), engine_us: median(synchronous) };
}

async function microseconds(work) {
  const started = performance.now();
  await work();
  return (performance.now() - started) * 1000;
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}
