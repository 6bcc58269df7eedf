/**
 * Faults on the GPU: each fails its own request with a typed error, and the model and the process go on.
 */
import { Worker } from 'node:worker_threads';
import { Tensor, TokenLearner } from '../../dist/index.mjs';

async function codeOf(promise) {
  try {
    await promise;
    return 'none';
  } catch (error) {
    return error.code;
  }
}

async function checkOutOfMemory(check) {
  const model = new TokenLearner({ dim: 64, device: 'cuda' });
  const x = Tensor.randn([2, 64, 16, 16]);
  const before = (await model.forward(x)).data.slice();
  // Larger than any GPU's memory; on the CPU it is never touched.
  const code = await codeOf((async () => Tensor.empty([1 << 20, 64, 64, 64], { device: 'cuda' }))());
  check('out of memory is a typed error', code === 'ERR_OUT_OF_MEMORY', code);
  const after = (await model.forward(x)).data;
  check(
    'the same model serves the next request',
    after.every((value, i) => value === before[i]),
  );
}

async function checkLifetimes(check) {
  const model = new TokenLearner({ dim: 64, device: 'cuda' });
  const x = Tensor.randn([4, 64, 16, 16]).to('cuda');
  const running = Array.from({ length: 16 }, () => model.forward(x));
  x.dispose();
  model.dispose();
  const settled = await Promise.allSettled(running);
  check(
    'disposing under way changes no result',
    settled.every(({ status }) => status === 'fulfilled'),
  );
  check(
    'a disposed model refuses',
    (await codeOf(model.forward(Tensor.zeros([1, 64, 4, 4])))) === 'ERR_DISPOSED',
  );
}

async function checkConcurrency(check) {
  const model = new TokenLearner({ dim: 128, device: 'cuda' });
  const inputs = Array.from({ length: 32 }, (_, i) => Tensor.randn([1 + (i % 5), 128, 14, 14]));
  const alone = [];
  for (const x of inputs) alone.push((await model.forward(x)).data.slice());
  const together = await Promise.all(inputs.map((x) => model.forward(x)));
  const same = together.every((tokens, i) => tokens.data.every((value, j) => value === alone[i][j]));
  check('concurrent requests have the bits they have alone', same);
}

async function checkWorkers(check) {
  const source = `
    const { workerData } = require('node:worker_threads');
    import(workerData).then(async ({ Tensor, TokenLearner }) => {
      const model = new TokenLearner({ dim: 64, device: 'cuda' });
      await model.forward(Tensor.randn([1, 64, 16, 16]));
      model.forward(Tensor.randn([8, 64, 64, 64]));
      process.exit(0);
    });`;
  const workerData = new URL('../../dist/index.mjs', import.meta.url).href;
  let clean = 0;
  for (let i = 0; i < 10; i++) {
    const worker = new Worker(source, { eval: true, workerData });
    clean += await new Promise((resolve) => {
      worker.on('exit', (code) => resolve(code === 0 ? 1 : 0));
      worker.on('error', () => resolve(0));
    });
  }
  check('workers end in mid-forward', clean === 10, `${clean} of 10`);
}

export async function runFaults(check) {
  await checkOutOfMemory(check);
  await checkLifetimes(check);
  await checkConcurrency(check);
  await checkWorkers(check);
}
