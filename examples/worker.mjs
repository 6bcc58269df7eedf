/** Worker threads run one model, and send their results back: nothing is copied on the way. `node examples/worker.mjs`. */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { openShared, Tensor, TokenLearner } from 'tokenlearner';

async function serve() {
  const model = openShared(workerData); // the parameters of the main thread's model, not a copy
  const tokens = await model.forward(Tensor.randn([1, 64, 32, 32]));
  parentPort.postMessage(tokens.move()); // disposes it here
}

async function main() {
  const model = new TokenLearner({ dim: 64 });
  const token = model.share();
  const answers = [1, 2].map(async () => {
    const worker = new Worker(new URL(import.meta.url), { workerData: token });
    // Wait for both from the start: Node can emit 'message' and 'exit' in one turn.
    const [[moved]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
    // The worker has ended; its numbers live on.
    const tokens = openShared(moved);
    return [...tokens.shape, tokens.data.every(Number.isFinite)];
  });
  console.log(await Promise.all(answers)); // [ [ 1, 64, 8, true ], [ 1, 64, 8, true ] ]
}

await (isMainThread ? main() : serve());
