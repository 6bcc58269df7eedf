// Eight workers open one large model. Prints the model's bytes, and by how many bytes the process grew while all had it.
const { isMainThread, parentPort, Worker, workerData } = require('node:worker_threads');
const { openShared, runtime, Tensor, TokenLearner } = require('../../../dist');

const CONFIG = { dim: 1024, numOutputTokens: 16, device: 'cpu' };

async function work() {
  const model = openShared(workerData);
  const tokens = await model.forward(Tensor.ones([1024, 2, 2]));
  parentPort.postMessage(Array.from(tokens.data.slice(0, 8)));
  parentPort.once('message', () => parentPort.close());
}

async function main() {
  const start = process.memoryUsage.rss();
  const model = new TokenLearner(CONFIG);
  const token = model.share();
  const [first] = [model.forwardSync(Tensor.ones([1024, 2, 2]))];
  const alone = process.memoryUsage.rss();
  const workers = Array.from({ length: 8 }, () => new Worker(module.filename, { workerData: token }));
  const answers = await Promise.all(
    workers.map(
      (worker) => new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject)),
    ),
  );
  const together = process.memoryUsage.rss();
  const ended = workers.map((worker) => new Promise((resolve) => worker.on('exit', resolve)));
  for (const worker of workers) worker.postMessage('end');
  await Promise.all(ended);
  const expected = JSON.stringify(Array.from(first.data.slice(0, 8)));
  const equal = answers.every((answer) => JSON.stringify(answer) === expected);
  console.log(
    JSON.stringify({
      model: alone - start,
      growth: together - alone,
      equal,
      shares: runtime.memory().liveShares,
    }),
  );
}

void (isMainThread ? main() : work());
