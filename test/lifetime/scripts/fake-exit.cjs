// Calls process.emit('exit') during forwards. The process continues, so every promise must settle and later forwards must run.
const { Tensor, TokenLearner } = require('../../../dist');

const model = new TokenLearner({ dim: 128, device: 'cpu' });
const input = Tensor.randn([2, 128, 64, 64]);

async function main() {
  const forwards = Array.from({ length: 6 }, () => model.forward(input));
  process.emit('exit', 0);
  const settled = await Promise.allSettled(forwards);
  const codes = new Set(settled.map(({ reason }) => reason?.code ?? 'done'));
  const after = await model.forward(input);
  console.log(
    JSON.stringify({ codes: [...codes].sort(), dropped: codes.has('ERR_CLOSED'), after: after.shape }),
  );
}

void main();
