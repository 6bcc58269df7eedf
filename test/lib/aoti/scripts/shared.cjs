// Opens a shared program, and posts the sum of its outputs for ones.
const { parentPort, workerData } = require('node:worker_threads');
const { openShared, Tensor } = require('../../../../dist');

async function main() {
  const model = openShared(workerData);
  const output = await model.forward(Tensor.ones([2, 3, 16, 16]));
  parentPort.postMessage(output.sum().item());
}

void main();
