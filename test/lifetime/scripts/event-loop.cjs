// Counts the turns of the event loop during one long forward. Measures the largest delay of a 1 ms timer in that time.
const { performance } = require('node:perf_hooks');
const { clearInterval, setInterval } = require('node:timers');
const { Tensor, TokenLearner } = require('../../../dist');

async function main() {
  const model = new TokenLearner({ dim: 128, ffMult: 4, numOutputTokens: 16, device: 'cpu' });
  const input = Tensor.randn([Number(process.argv[2]), 128, 64, 64]);
  let [turns, worst, last] = [0, 0, performance.now()];
  const timer = setInterval(() => {
    const now = performance.now();
    turns += 1;
    worst = Math.max(worst, now - last - 1);
    last = now;
  }, 1);
  const started = performance.now();
  await model.forward(input);
  const milliseconds = performance.now() - started;
  clearInterval(timer);
  console.log(JSON.stringify({ turns, worst, milliseconds }));
}

void main();
