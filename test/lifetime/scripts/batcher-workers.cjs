// Terminates workers with queued and running requests of batchers. Prints their number.
const path = require('node:path');
const { Worker } = require('node:worker_threads');

function run(delay) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(path.join(__dirname, 'batcher-worker.cjs'));
    worker.on('error', reject);
    worker.on('message', () => setTimeout(() => void worker.terminate(), delay));
    worker.on('exit', resolve);
  });
}

async function main() {
  const count = Number(process.argv[2]);
  for (let i = 0; i < count; i++) await run(i % 7);
  console.log(JSON.stringify(count));
}

void main();
