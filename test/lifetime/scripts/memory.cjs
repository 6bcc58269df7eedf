// Runs many forwards without a dispose. Prints the peak of resident memory in each quarter, in MB.
const { Tensor, TokenLearner } = require('../../../dist');

const [how, count] = [process.argv[2], Number(process.argv[3])];
const model = new TokenLearner({ dim: 4, ffMult: 1, device: 'cpu' });
// Each result has 128 KB of attention maps.
const input = Tensor.randn([4, 64, 64]);
const options = { returnAttention: true };
const peaks = [0, 0, 0, 0];

function note(i) {
  if (i % 50 !== 0) return;
  const quarter = Math.floor((4 * i) / count);
  peaks[quarter] = Math.max(peaks[quarter], process.memoryUsage.rss() / 1e6);
}

async function main() {
  for (let i = 0; i < count; i++) {
    const { attention } =
      how === 'sync' ? model.forwardSync(input, options) : await model.forward(input, options);
    if (how === 'data') attention.data[0] = 1;
    note(i);
  }
  console.log(JSON.stringify(peaks));
}

void main();
