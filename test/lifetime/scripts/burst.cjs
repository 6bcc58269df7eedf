// Submits many forwards over JavaScript's memory at once. Prints the growth of resident memory, in MB: while they wait, and after.
const { Tensor, TokenLearner } = require('../../../dist');

const count = Number(process.argv[2]);
const model = new TokenLearner({ dim: 64, numOutputTokens: 4, device: 'cpu' });
const input = Tensor.from(new Float32Array(64 * 32 * 32), [1, 64, 32, 32]); // 256 KB
const resident = () => process.memoryUsage.rss() / 1e6;

async function main() {
  (await model.forward(input)).dispose();
  const before = resident();
  // While this one runs, the others wait.
  const first = model.forward(Tensor.zeros([256, 64, 64, 64]));
  const waiting = Array.from({ length: count }, () => model.forward(input));
  // A small block that stays, as in a server: malloc cannot give back what lies below it.
  const small = Tensor.zeros([100]);
  const during = resident() - before;
  for (const tokens of await Promise.all([first, ...waiting])) tokens.dispose();
  waiting.length = 0;
  globalThis.gc();
  await new Promise((resolve) => setTimeout(resolve, 50));
  globalThis.gc();
  const after = resident() - before;
  small.dispose();
  console.log(JSON.stringify([during, after].map(Math.round)));
}

void main();
