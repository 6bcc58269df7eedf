// One worker with its own model. It runs one forward; in the mode 'stuck' it runs forwards until it is terminated.
const { workerData, parentPort } = require('node:worker_threads');
const { Tensor, TokenLearner } = require('../../../dist');

async function main() {
  const model = new TokenLearner({ dim: 16, device: 'cpu' });
  if (workerData === 'stuck') {
    const input = Tensor.randn([8, 16, 64, 64]);
    parentPort.postMessage('running');
    for (;;) await model.forward(input);
  }
  const { shape } = await model.forward(Tensor.randn([16, 8, 8]));
  parentPort.postMessage([...shape]);
}

void main();
