// A worker whose batcher has requests that wait, run, and have deadlines and delays, until it is terminated.
const { parentPort } = require('node:worker_threads');
const { Batcher, Tensor, TokenLearner } = require('../../../dist');

const model = new TokenLearner({ dim: 16, device: 'cpu' });
const busy = new Batcher(model, { maxBatchSize: 4 });
const late = new Batcher(model, { maxDelayMs: 60_000 });
const input = Tensor.randn([16, 64, 64]);
const ignore = () => undefined;

async function call() {
  for (;;) await busy.forward(input).catch(ignore);
}

for (let i = 0; i < 8; i++) void call();
for (let i = 0; i < 8; i++) late.forward(input, { timeoutMs: 50_000 + i }).catch(ignore);
setTimeout(() => parentPort.postMessage('running'), 5);
