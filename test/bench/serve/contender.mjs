/**
 * One contender as a process: `node contender.mjs NAME CONFIG`, CONFIG in JSON: {options of the model, shape, threads, onnxruntime}. Sends its ports once
 * it is ready; to 'measure' it starts to watch the event loop, to 'report' it sends what it saw.
 */
import { createServer } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { Batcher, runtime, Tensor, TokenLearner } from '../../../dist/index.mjs';
import { createServer as createInferenceServer } from '../../../packages/server/dist/index.mjs';

const [name, text] = process.argv.slice(2);
const { model: options, shape, threads, onnxruntime, maxQueueSize } = JSON.parse(text);
runtime.setThreads(threads);
const model = new TokenLearner(options);

const bytesOf = ({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

/** A plain HTTP server: the elements of an input in, those of the tokens out. `run` rejects when it is busy. */
async function rawServer(run) {
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const values = new Float32Array(body.buffer, body.byteOffset, body.length / 4);
    try {
      response.end(await run(values));
    } catch (error) {
      response.writeHead(error.code === 'ERR_QUEUE_FULL' ? 429 : 500).end();
    }
  });
  server.keepAliveTimeout = 60_000;
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: server.address().port };
}

async function forwardServer(forward) {
  return rawServer(async (values) => {
    const input = Tensor.from(values, shape);
    try {
      return bytesOf(await forward(input));
    } finally {
      input.dispose();
    }
  });
}

/** Throws unless a contender computes what the model does. */
async function checkNumbers(run) {
  const input = Tensor.rand(shape);
  const expected = model.forwardSync(input).data;
  const bytes = await run(input.data);
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const isNear = (value, i) => Math.abs(value - expected[i]) <= 1e-4 * Math.max(1, Math.abs(expected[i]));
  if (values.length !== expected.length || !values.every(isNear))
    throw new Error(`${name} computes other numbers than the model`);
}

/** Joins what waits while the session in the worker runs: the batch that a user would write by hand. */
async function onnxServer() {
  const weights = Object.fromEntries(
    Object.entries(model.stateDict()).map(([key, tensor]) => [
      key,
      { shape: [...tensor.shape], data: Float32Array.from(tensor.data) },
    ]),
  );
  const workerData = { folder: onnxruntime, weights, options, shape, threads };
  const worker = new Worker(new URL('onnx-worker.mjs', import.meta.url), { workerData });
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  const waiting = [];
  let running = null;
  const start = () => {
    if (running !== null || waiting.length === 0) return;
    running = waiting.splice(0, 64);
    const joined = new Float32Array(running.length * running[0].values.length);
    running.forEach(({ values }, i) => joined.set(values, i * values.length));
    worker.postMessage({ count: running.length, values: joined }, [joined.buffer]);
  };
  worker.on('message', (tokens) => {
    const size = tokens.length / running.length;
    running.forEach(({ resolve }, i) => {
      const part = tokens.subarray(i * size, (i + 1) * size);
      resolve(Buffer.from(part.buffer, part.byteOffset, part.byteLength));
    });
    running = null;
    start();
  });
  const run = (values) =>
    new Promise((resolve, reject) => {
      if (waiting.length >= maxQueueSize) reject(Object.assign(new Error(), { code: 'ERR_QUEUE_FULL' }));
      else waiting.push({ values, resolve });
      start();
    });
  await checkNumbers(run);
  return rawServer(run);
}

async function inferenceServer() {
  const server = createInferenceServer({ models: { m: model }, httpPort: 0, grpcPort: 0, maxQueueSize });
  const { httpPort, grpcPort } = await server.listen();
  return { port: httpPort, grpcPort };
}

const CONTENDERS = {
  batcher: () => {
    const batcher = new Batcher(model, { maxQueueSize });
    return forwardServer((x) => batcher.forward(x));
  },
  forward: () => forwardServer((x) => model.forward(x)),
  onnxruntime: onnxServer,
  server: inferenceServer,
};

const ports = await CONTENDERS[name]();
const delay = monitorEventLoopDelay({ resolution: 1 });
process.on('message', (message) => {
  if (message === 'measure') {
    delay.reset();
    delay.enable();
    return;
  }
  delay.disable();
  // The monitor's own timer takes its millisecond.
  const p99 = Math.max(0, delay.percentile(99) / 1e6 - 1);
  process.send({ eventLoopP99Ms: Number(p99.toFixed(2)) });
});
process.on('disconnect', () => process.exit());
process.send(ports);
