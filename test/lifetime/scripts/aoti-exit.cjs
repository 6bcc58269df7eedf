// Ends a process, or a worker, while a program runs. Prints "ended" as the last thing.
const { isMainThread, Worker, workerData } = require('node:worker_threads');
const { AotiModel, Tensor } = require('../../../dist');

const [file, how] = isMainThread ? process.argv.slice(2) : workerData;

async function runs() {
  const model = await AotiModel.load(file, { trusted: true, instances: 2 });
  const input = Tensor.randn([256, 3, 32, 32]);
  return Array.from({ length: 8 }, () => model.forward(input));
}

async function main() {
  if (how === 'worker' && isMainThread) {
    const worker = new Worker(process.argv[1], { workerData: [file, how] });
    await new Promise((resolve) => worker.once('message', resolve));
    await worker.terminate();
    console.log('"ended"');
    return;
  }
  const running = await runs();
  for (const run of running) run.catch(() => undefined);
  if (!isMainThread) {
    require('node:worker_threads').parentPort.postMessage('running');
    return;
  }
  process.on('exit', () => console.log('"ended"'));
  if (how === 'exit') process.exit(0);
  if (how === 'throw') {
    process.on('uncaughtException', () => process.exit(0));
    setTimeout(() => {
      throw new Error('on purpose');
    }, 2);
  }
}

void main();
