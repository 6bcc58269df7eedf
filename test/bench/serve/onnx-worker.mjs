/** A worker thread with an onnxruntime session. A message is {count, values} of a batch; the answer is its tokens. */
import { createRequire } from 'node:module';
import path from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { onnxFile } from './onnx-file.mjs';

const { folder, weights, options, shape, threads } = workerData;
const require = createRequire(path.join(folder, 'package.json'));
const { InferenceSession, Tensor } = require('onnxruntime-node');

const [channels, height, width] = shape.slice(-3);
const session = await InferenceSession.create(onnxFile(weights, { ...options, height, width }), {
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  graphOptimizationLevel: 'all',
});
parentPort.on('message', async ({ count, values }) => {
  const images = (values.length / (channels * height * width)) | 0;
  const { tokens } = await session.run({
    x: new Tensor('float32', values, [images, channels, height, width]),
  });
  const data = Float32Array.from(tokens.data);
  parentPort.postMessage(count === 0 ? data.subarray(0, 0) : data, [data.buffer]);
});
parentPort.postMessage('ready');
