// Makes and drops many batchers, each with a thread for its deadlines. Prints the threads of the process before and after.
const { readdirSync } = require('node:fs');
const { Batcher, Tensor, TokenLearner } = require('../../../dist');

const model = new TokenLearner({ dim: 8, device: 'cpu' });
const input = Tensor.randn([8, 4, 4]);
const threads = () => readdirSync('/proc/self/task').length;

/** Returns once at most so many threads are left; the test's time limit ends it otherwise. */
async function collect(most) {
  do {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  } while (threads() > most);
}

async function make(count) {
  for (let i = 0; i < count; i++)
    await new Batcher(model, { maxDelayMs: 0.01, timeoutMs: 1000 }).forward(input);
}

async function main() {
  await make(1);
  await collect(Infinity);
  const before = threads();
  await make(200);
  await collect(before + 19);
  console.log(JSON.stringify([before, threads()]));
}

void main();
