/**
 * onnxruntime-node as a contender. See protocol.mjs; `setup` also takes `model`, the ONNX file. The package lies in the folder that is
 * this program's argument.
 */
import { createRequire } from 'node:module';
import path from 'node:path';
import { loadSafetensors } from '../../../dist/index.mjs';
import { contender, memoryMb, serve } from './protocol.mjs';

const require = createRequire(path.join(path.resolve(process.argv[2]), 'package.json'));
const { InferenceSession, Tensor } = require('onnxruntime-node');

async function setup({ threads, data, model }) {
  const base = memoryMb('VmRSS');
  const session = await InferenceSession.create(model, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
  });
  const { input } = await loadSafetensors(data);
  const feeds = { x: new Tensor('float32', input.data, [...input.shape]) };
  let tokens;
  return {
    base,
    details: {},
    run: async () => ({ tokens } = await session.run(feeds)),
    output: () => tokens.data,
  };
}

await serve({
  ...contender(setup),
  versions: () => ({ 'onnxruntime-node': require('onnxruntime-node/package.json').version }),
});
