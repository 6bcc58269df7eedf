// Workers that run at the same time must all get the numbers of the main thread.
const { isMainThread, parentPort, Worker } = require('node:worker_threads');
const { manualSeed, Tensor, TokenLearner } = require('../../../dist');

async function compute() {
  manualSeed(1);
  const model = new TokenLearner({ dim: 16, device: 'cpu' });
  const input = Tensor.randn([4, 16, 16, 16]);
  const outputs = await Promise.all(Array.from({ length: 20 }, () => model.forward(input)));
  return outputs.map(({ data }) => Buffer.from(data.buffer).toString('base64'));
}

async function main() {
  if (!isMainThread) return parentPort.postMessage(await compute());
  const workers = Array.from({ length: 4 }, () => new Worker(module.filename));
  const answers = workers.map(
    (worker) => new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject)),
  );
  const all = await Promise.all([compute(), ...answers]);
  return console.log(JSON.stringify(new Set(all.flat()).size));
}

void main();
