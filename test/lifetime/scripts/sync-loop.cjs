// Runs a loop that never returns to the event loop, reads data and keeps nothing, in the main thread or in a worker. Prints the
// peak of resident memory in each quarter, in MB.
const { isMainThread, parentPort, Worker, workerData } = require('node:worker_threads');
const { Linear, Tensor, TokenLearner } = require('../../../dist');

// 128 kB each.
const SHAPE = [4, 64, 128];

const loops = {
  results: () => {
    const model = new TokenLearner({ dim: 4, ffMult: 1, numOutputTokens: 4, device: 'cpu' });
    const input = Tensor.randn(SHAPE);
    return () => (model.forwardSync(input, { returnAttention: true }).attention.data[0] = 1);
  },
  'results of libtorch': () => {
    const model = new Linear(128, 128, { device: 'cpu' });
    const input = Tensor.randn([256, 128]);
    return () => (model.forwardSync(input).data[0] = 1);
  },
  inputs: () => {
    const model = new TokenLearner({ dim: 4, ffMult: 1, device: 'cpu' });
    return () => {
      const input = Tensor.empty(SHAPE);
      input.data.fill(1);
      model.forwardSync(input);
    };
  },
  disposed: () => () => {
    const tensor = Tensor.zeros(SHAPE);
    tensor.data[0] = 1;
    tensor.dispose();
  },
  views: () => () => (Tensor.zeros(SHAPE).reshape([4, -1]).data[0] = 1),
  copies: () => {
    const tensor = Tensor.zeros(SHAPE);
    return () => (tensor.clone().data[0] = 1);
  },
  'from numbers': () => {
    const numbers = new Array(32768).fill(1);
    return () => (Tensor.from(numbers).data[0] = 1);
  },
  modules: () => () => new Linear(512, 64, { device: 'cpu' }),
  detached: () => () => Tensor.zeros(SHAPE).detachBuffer(),
};

// About ten bytes each. The test measures the memory that Node and V8 keep for each in addition.
const small = {
  'small results': () => {
    const model = new TokenLearner({ dim: 2, ffMult: 1, numOutputTokens: 2, device: 'cpu' });
    const input = Tensor.randn([2, 2, 2]);
    return () => model.forwardSync(input).data[0];
  },
  'small results, unread': () => {
    const model = new TokenLearner({ dim: 2, ffMult: 1, numOutputTokens: 2, device: 'cpu' });
    const input = Tensor.randn([2, 2, 2]);
    return () => model.forwardSync(input).shape;
  },
  'empty tensors': () => () => Tensor.zeros([0, 4]).data,
  'small modules': () => () => new Linear(1, 1, { device: 'cpu' }),
};

function run(name, count) {
  const step = (loops[name] ?? small[name])();
  const peaks = [0, 0, 0, 0];
  for (let i = 0; i < count; i++) {
    step();
    if (i % 50 !== 0) continue;
    const quarter = Math.floor((4 * i) / count);
    peaks[quarter] = Math.max(peaks[quarter], process.memoryUsage.rss() / 1e6);
  }
  return peaks;
}

function main() {
  const [name, count, where] = [process.argv[2], Number(process.argv[3]), process.argv[4]];
  if (where === 'main') return console.log(JSON.stringify(run(name, count)));
  const worker = new Worker(module.filename, { workerData: { name, count } });
  return worker.on('message', (peaks) => console.log(JSON.stringify(peaks)));
}

if (isMainThread) main();
else parentPort.postMessage(run(workerData.name, workerData.count));
