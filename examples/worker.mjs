/** A worker thread runs the model and sends its results to the main thread without a copy: `node examples/worker.mjs`. */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { Tensor, TokenLearner } from 'tokenlearner';

async function serve() {
  const model = new TokenLearner({ dim: 64 });
  const tokens = await model.forward(Tensor.randn([1, 64, 32, 32]));
  const { shape } = tokens;
  const buffer = tokens.detachBuffer(); // the memory itself, without a copy; disposes the tensor
  parentPort.postMessage({ buffer, shape }, [buffer]);
}

async function main() {
  const worker = new Worker(new URL(import.meta.url));
  // Wait for both from the start: Node can emit 'message' and 'exit' in one turn.
  const [[{ buffer, shape }]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
  // The worker has ended; its numbers live on.
  const tokens = Tensor.from(new Float32Array(buffer), shape);
  console.log(tokens.shape, tokens.data.every(Number.isFinite)); // [ 1, 64, 8 ] true
}

await (isMainThread ? main() : serve());
