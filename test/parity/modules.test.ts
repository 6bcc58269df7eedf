import type { AnyTensor, Tensor } from '../../lib';
import { loadTensors, makeTensors, readJson, type LayerSpec, type MadeTensor } from './fixtures';
import { expectParity, expectSameBits } from './matchers';
import { constructAll } from './modules';

interface Case {
  name: string;
  layers: LayerSpec[];
  seed: number;
  tensors: MadeTensor[];
}

const { cases } = readJson('modules/cases.json') as { cases: Case[] };

test.each(cases)('$name', async ({ name, layers, seed, tensors }) => {
  const { input, ...parameters } = makeTensors(seed, tensors, 'float32');
  const model = constructAll(layers).to('cpu');
  model.loadStateDict(parameters);
  const [exact, pytorch] = (await loadTensors(`modules/${name}.safetensors`, 'output', 'pytorch.output')) as [
    AnyTensor,
    AnyTensor,
  ];
  const output = (await model.forward(input)) as Tensor;
  expectParity(output, exact, pytorch);
  expectSameBits(model.forwardSync(input) as Tensor, output);
});
