/**
 * This package as a contender: `peer` is an engine, or 'fused-bfloat16'. See protocol.mjs. Two more operations:
 *
 *     {"op": "prepare", "workload", "data", "expected"}  -> {}: writes both files, parameters and input from seed 0; the tokens come from
 *                                                         the documented computation in float64
 *     {"op": "overhead"}                                -> what overhead.mjs measures
 */
import { readFileSync } from 'node:fs';
import {
  loadSafetensors,
  manualSeed,
  runtime,
  saveSafetensors,
  Tensor,
  TokenLearner,
  TokenLearnerV10,
  TokenLearnerV11,
} from '../../../dist/index.mjs';
import { measureOverhead } from './overhead.mjs';
import { contender, memoryMb, serve } from './protocol.mjs';

const read = (file) => JSON.parse(readFileSync(new URL(`../${file}`, import.meta.url), 'utf8'));
const WORKLOADS = { ...read('workloads.json'), ...read('family.json') };
const MODULES = { TokenLearner, TokenLearnerV10, TokenLearnerV11 };

async function setup({ workload, peer, threads, data }) {
  const info = runtime.info(); // loads libtorch
  if (info.problem) throw new Error(info.problem.message);
  const base = memoryMb('VmRSS');
  const { input, ...parameters } = await loadSafetensors(data);
  const { module = 'TokenLearner' } = WORKLOADS[workload];
  const engine = peer === 'fused-bfloat16' ? 'fused' : peer;
  const dtype = peer === engine ? 'float32' : 'bfloat16';
  const options = { engine, intraOpThreads: threads, device: 'cpu' };
  const model = MODULES[module].fromStateDict(parameters, options).to(dtype);
  const copy = Tensor.empty(input.shape);
  copy.data.set(input.data);
  const x = copy.to(dtype);
  let tokens;
  return {
    base,
    details: { libtorchThreads: info.threads },
    run: async () => (tokens = await model.forward(x)),
    output: () => tokens.to('float32').data,
  };
}

async function prepare({ workload, data, expected }) {
  const { module, shape, dim, ffMult, numOutputTokens } = WORKLOADS[workload];
  manualSeed(0);
  const model =
    module === undefined
      ? new TokenLearner({ dim, ffMult, numOutputTokens, engine: 'grouped-conv', device: 'cpu' })
      : new MODULES[module]({ dim, numOutputTokens, engine: 'libtorch', device: 'cpu' });
  const input = Tensor.randn(shape);
  await saveSafetensors(data, { input, ...model.stateDict() });
  await saveSafetensors(expected, { tokens: await model.to('float64').forward(input.to('float64')) });
  return {};
}

function versions() {
  const { version, node, libtorch, addon } = runtime.info();
  return { tokenlearner: version, node, libtorch: libtorch.version, addonBuiltWithCuda: String(addon.cuda) };
}

await serve({ ...contender(setup), prepare, versions, overhead: measureOverhead });
