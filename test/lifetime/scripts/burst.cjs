// Submits many forwards over JavaScript's memory at once. Prints the growth of resident memory, in MB: while they wait, and after.
const { Tensor, TokenLearner } = require('../../../dist');

const count = Number(process.argv[2]);
const model = new TokenLearner({ dim: 64, numOutputTokens: 4, device: 'cpu' });
const input = Tensor.from(new Float32Array(64 * 32 * 32), [1, 64, 32, 32]); // 256 KB
const resident = () => process.memoryUsage.rss() / 1e6;

async function main() {
  (await model.forward(input)).dispose();
  const before = resident();
  const forwards = Array.from({ length: count }, () => model.forward(input));
  const during = resident() - before;
  for (const forward of forwards) (await forward).dispose();
  forwards.length = 0;
  globalThis.gc();
  await new Promise((resolve) => setTimeout(resolve, 50));
  globalThis.gc();
  console.log(JSON.stringify([during, resident() - before].map(Math.round)));
}

void main();
