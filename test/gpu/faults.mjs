/**
 * Faults on the GPU. Each fails only its own request, with a typed error. The model and the process keep working.
 */
import { Worker } from 'node:worker_threads';
import { Tensor, TokenLearner } from '../../dist/index.mjs';
import { attempt } from './attempt.mjs';
import { checkMemory } from './memory.mjs';
import { sameBits } from './numbers.mjs';
import { checkExits, checkLostDevice } from './processes.mjs';

async function codeOf(promise) {
  try {
    await promise;
    return 'none';
  } catch (error) {
    return error.code;
  }
}

/**
 * The codes with which running out of memory may end. Before 2.13, libtorch gives no reason for a failed operator:
 * docs/installation.md.
 */
export function outOfMemoryCodes(libtorchVersion) {
  const [major, minor] = libtorchVersion.split('.').map(Number);
  const givesReasons = major > 2 || (major === 2 && minor >= 13);
  return givesReasons ? ['ERR_OUT_OF_MEMORY'] : ['ERR_OUT_OF_MEMORY', 'ERR_LIBTORCH'];
}

async function checkOutOfMemory(check, device, libtorchVersion) {
  // The hidden layer of the large image below needs 550 GB. The image itself fits on the GPU easily.
  const model = new TokenLearner({ dim: 64, numOutputTokens: 1024, device, engine: 'grouped-conv' });
  const small = Tensor.randn([1, 64, 4, 4]);
  const before = (await model.forward(small)).data.slice();
  const large = Tensor.zeros([1, 64, 1024, 1024], { device });
  const code = await codeOf(model.forward(large));
  check('out of memory is a typed error', outOfMemoryCodes(libtorchVersion).includes(code), code);
  const after = (await model.forward(small)).data;
  check(
    'the same model runs the next request',
    after.every((value, i) => value === before[i]),
  );
}

async function checkLifetimes(check, device) {
  const model = new TokenLearner({ dim: 64, device });
  const x = Tensor.randn([4, 64, 16, 16]).to(device);
  const expected = (await model.forward(x)).to('cpu').data.slice();
  const running = Array.from({ length: 16 }, () => model.forward(x));
  x.dispose();
  model.dispose();
  const outputs = await Promise.all(running);
  check(
    'disposing during a run changes no result',
    outputs.every((output) => output.to('cpu').data.every((value, i) => value === expected[i])),
  );
  check(
    'a disposed model rejects a forward',
    (await codeOf(model.forward(Tensor.zeros([1, 64, 4, 4])))) === 'ERR_DISPOSED',
  );
}

/** Runs small and large models at the same time. Their kernels share the limits and the memory of the device. */
async function checkConcurrency(check, device) {
  const requests = [64, 128, 256, 512].flatMap((dim) => {
    const model = new TokenLearner({ dim, device });
    return Array.from({ length: 8 }, (_, i) => ({ model, x: Tensor.randn([1 + (i % 5), dim, 14, 14]) }));
  });
  const alone = [];
  for (const { model, x } of requests) alone.push((await model.forward(x)).data.slice());
  const together = await Promise.all(requests.map(({ model, x }) => model.forward(x)));
  const same = together.every((tokens, i) => tokens.data.every((value, j) => value === alone[i][j]));
  check('concurrent requests give the same bits as each one alone', same);
}

async function checkWorkers(check, device) {
  const source = `
    const { workerData } = require('node:worker_threads');
    import(workerData.url).then(async ({ Tensor, TokenLearner }) => {
      const model = new TokenLearner({ dim: 64, device: workerData.device });
      await model.forward(Tensor.randn([1, 64, 16, 16]));
      model.forward(Tensor.randn([8, 64, 64, 64]));
      process.exit(0);
    });`;
  const workerData = { device, url: new URL('../../dist/index.mjs', import.meta.url).href };
  let clean = 0;
  for (let i = 0; i < 10; i++) {
    const worker = new Worker(source, { eval: true, workerData });
    clean += await new Promise((resolve) => {
      worker.on('exit', (code) => resolve(code === 0 ? 1 : 0));
      worker.on('error', () => resolve(0));
    });
  }
  check('workers exit cleanly during a forward', clean === 10, `${clean} of 10`);
}

/** Workers run one model of the main thread at the same time as it does, on its parameters. */
async function checkShared(check, device) {
  const model = new TokenLearner({ dim: 96, device });
  const x = Tensor.randn([3, 96, 12, 11]);
  const expected = (await model.forward(x)).data.slice();
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.url).then(async ({ openShared }) => {
      const model = openShared(workerData.model);
      const x = openShared(workerData.x);
      const results = await Promise.all(Array.from({ length: 20 }, () => model.forward(x)));
      parentPort.postMessage(results.map((tokens) => tokens.data.slice()));
    });`;
  const url = new URL('../../dist/index.mjs', import.meta.url).href;
  const workerData = { url, model: model.share(), x: x.share() };
  const answers = Array.from({ length: 4 }, () => {
    const worker = new Worker(source, { eval: true, workerData });
    return new Promise((resolve, reject) => {
      worker.on('message', resolve);
      worker.on('error', reject);
    });
  });
  const own = Array.from({ length: 20 }, async () => (await model.forward(x)).data);
  const all = [...(await Promise.all(answers)).flat(), ...(await Promise.all(own))];
  const same = all.filter((tokens) => sameBits(tokens, expected)).length;
  check('workers share a model and its results have the same bits', same === 100, `${same} of 100`);
}

export async function runFaults(check, { device, libtorchVersion }) {
  // The memory of a CPU can be promised without being there, and a trial must not use it up.
  if (device !== 'cpu') {
    await attempt(check, 'out of memory', () => checkOutOfMemory(check, device, libtorchVersion));
  }
  await attempt(check, 'lifetimes', () => checkLifetimes(check, device));
  await attempt(check, 'concurrency', () => checkConcurrency(check, device));
  await attempt(check, 'workers', () => checkWorkers(check, device));
  await attempt(check, 'a shared model', () => checkShared(check, device));
  await attempt(check, 'memory', () => checkMemory(check, device));
  await attempt(check, 'exits', () => checkExits(check, device));
  if (device !== 'cpu') await attempt(check, 'a lost device', () => checkLostDevice(check, device));
}
