// Ends the process some milliseconds after requests of a batcher began, or waits for them, or drops the batcher.
const { Batcher, Tensor, TokenLearner } = require('../../../dist');

const [how, delay] = [process.argv[2], Number(process.argv[3])];
const model = new TokenLearner({ dim: 128, device: 'cpu' });
const input = Tensor.randn([2, 128, 64, 64]);

/** Nobody but the requests holds the batcher. */
function submit() {
  const batcher = new Batcher(model, { maxBatchSize: 4, timeoutMs: 100_000 });
  return Array.from({ length: 6 }, () => batcher.forward(input));
}

const forwards = submit();
forwards.forEach((forward) => forward.catch(() => undefined));
if (how === 'garbage') for (let i = 0; i < 5; i++) globalThis.gc();
if (how === 'exit') setTimeout(() => process.exit(7), delay);
else void Promise.all(forwards).then((outputs) => console.log(JSON.stringify(outputs.length)));
