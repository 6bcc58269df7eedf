// Makes and drops many batchers, each with a thread for its deadlines. Prints the threads of the process before and after.
const { readdirSync } = require('node:fs');
const { Batcher, Tensor, TokenLearner } = require('../../../dist');

const model = new TokenLearner({ dim: 8, device: 'cpu' });
const input = Tensor.randn([8, 4, 4]);
const threads = () => readdirSync('/proc/self/task').length;

async function make(count) {
  for (let i = 0; i < count; i++)
    await new Batcher(model, { maxDelayMs: 0.01, timeoutMs: 1000 }).forward(input);
  for (let i = 0; i < 5; i++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function main() {
  await make(1);
  const before = threads();
  await make(200);
  console.log(JSON.stringify([before, threads()]));
}

void main();
