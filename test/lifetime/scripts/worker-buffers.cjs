// Workers send their tensors' memory to the main thread. Then they end: normally, by process.exit(), by a throw, or terminated.
// Prints if the numbers are correct afterwards, or resident memory in MB after each worker.
const { setInterval } = require('node:timers');
const { isMainThread, parentPort, Worker, workerData } = require('node:worker_threads');
const { Tensor, TokenLearner } = require('../../../dist');

const COUNT = 1 << 20;

const ways = {
  'detachBuffer of a result': () => {
    const model = new TokenLearner({ dim: 64, ffMult: 1, numOutputTokens: 16, device: 'cpu' });
    const { attention } = model.forwardSync(Tensor.randn([64, 256, 256]), { returnAttention: true });
    attention.data.fill(1);
    return attention.detachBuffer();
  },
  'detachBuffer of a result never read': async () => {
    const model = new TokenLearner({ dim: 64, ffMult: 1, numOutputTokens: 16, device: 'cpu' });
    // All weights are 0, so every value of a map is its bias, 1.
    const dict = model.stateDict();
    for (const [name, tensor] of Object.entries(dict)) tensor.data.fill(name === 'net.2.bias' ? 1 : 0);
    model.loadStateDict(dict);
    const { attention } = await model.forward(Tensor.randn([64, 256, 256]), { returnAttention: true });
    return attention.detachBuffer();
  },
  'detachBuffer of a made tensor': () => Tensor.ones([COUNT]).detachBuffer(),
  'buffer of the data': () => {
    const { buffer } = Tensor.ones([COUNT]).data;
    return buffer.transfer?.() ?? buffer;
  },
};

async function inWorker({ way, end }) {
  const buffer = await ways[way]();
  parentPort.postMessage(buffer, [buffer]);
  if (end === 'throw') throw new Error('on purpose');
  if (end === 'exit') process.exit(0);
  if (end === 'terminate') setInterval(() => undefined, 1000);
}

/** Waits for a worker to end. Returns the buffer that it sent. */
function received(way, end) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(module.filename, { workerData: { way, end } });
    let buffer;
    worker.on('message', (message) => {
      buffer = message;
      if (end === 'terminate') void worker.terminate();
    });
    worker.on('error', (error) => error.message === 'on purpose' || reject(error));
    worker.on('exit', () => resolve(buffer));
  });
}

async function main() {
  const [command, count] = [process.argv[2], Number(process.argv[3])];
  const result = {};
  if (command === 'numbers') {
    for (const way of Object.keys(ways)) {
      for (const end of ['itself', 'exit', 'throw', 'terminate']) {
        const array = new Float32Array(await received(way, end));
        for (let i = 0; i < 4; i++) Tensor.full([COUNT], 7).dispose();
        globalThis.gc();
        result[`${way}, ${end}`] = array.length === COUNT && array.every((value) => value === 1);
      }
    }
  } else {
    result.memory = [];
    const names = Object.keys(ways);
    for (let i = 0; i < count; i++) {
      await received(names[i % names.length], i % 2 === 0 ? 'itself' : 'terminate');
      globalThis.gc();
      result.memory.push(process.memoryUsage.rss() / 1e6);
    }
  }
  console.log(JSON.stringify(result));
}

void (isMainThread ? main() : inWorker(workerData));
