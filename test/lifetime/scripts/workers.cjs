// Starts workers one after the other. Terminates every other one during a forward, 0 to 29 ms after it began. Prints resident
// memory in MB after each worker.
const path = require('node:path');
const { Worker } = require('node:worker_threads');

function run(mode, delay) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(path.join(__dirname, 'worker.cjs'), { workerData: mode });
    worker.on('error', reject);
    worker.on('message', () => {
      if (mode === 'stuck') setTimeout(() => void worker.terminate(), delay);
    });
    worker.on('exit', resolve);
  });
}

async function main() {
  const count = Number(process.argv[2]);
  const memory = [];
  for (let i = 0; i < count; i++) {
    await run(i % 2 === 1 ? 'stuck' : 'once', i % 30);
    memory.push(process.memoryUsage.rss() / 1e6);
  }
  console.log(JSON.stringify(memory));
}

void main();
