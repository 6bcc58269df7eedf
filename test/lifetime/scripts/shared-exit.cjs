// The main thread exits while workers run its model and others hold what is shared.
const { isMainThread, parentPort, Worker, workerData } = require('node:worker_threads');
const { openShared, Tensor, TokenLearner } = require('../../../dist');

async function work() {
  const model = openShared(workerData.model);
  const x = openShared(workerData.x);
  parentPort.postMessage(Tensor.ones([4]).move());
  for (;;) await model.forward(x);
}

async function main() {
  const model = new TokenLearner({ dim: 16, device: 'cpu' });
  const data = { model: model.share(), x: Tensor.ones([8, 16, 64, 64]).share() };
  const workers = Array.from({ length: 4 }, () => new Worker(module.filename, { workerData: data }));
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))));
  setTimeout(() => process.exit(5), 20);
}

void (isMainThread ? main() : work());
