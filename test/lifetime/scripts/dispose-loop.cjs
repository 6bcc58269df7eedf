// Reads and disposes results in a loop that never returns to the event loop. Prints the growth of resident memory in MB.
const { Tensor, TokenLearner } = require('../../../dist');

const model = new TokenLearner({ dim: 4, ffMult: 1, device: 'cpu' });
const input = Tensor.randn([4, 64, 64]);

function loop(count) {
  for (let i = 0; i < count; i++) {
    const { tokens, attention } = model.forwardSync(input, { returnAttention: true });
    attention.data[0] = tokens.data[0];
    tokens.dispose();
    attention.dispose();
  }
}

loop(200);
const before = process.memoryUsage.rss();
loop(4000);
console.log(JSON.stringify((process.memoryUsage.rss() - before) / 1e6));
