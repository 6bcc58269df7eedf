// Forwards while the system allows no further thread. Root starts it, with `ulimit -u 1`.
const { Tensor, TokenLearner, runtime } = require('../../../dist');

const model = new TokenLearner({ dim: 64, device: 'cpu' });
const input = Tensor.randn([1, 64, 64, 64]);

async function main() {
  // The limit does not hold for root.
  process.setuid(65_534);
  const codes = [];
  for (let i = 0; i < 2; i++) {
    await model.forward(input).catch(({ code }) => codes.push(code));
    // Every executor gets the limits.
    runtime.configure({ maxQueueSize: 10 });
  }
  console.log(JSON.stringify({ codes, tokens: model.forwardSync(input).shape }));
}

void main();
