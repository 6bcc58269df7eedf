/**
 * Parity of the official layers' fused engines on the GPU, as parity.mjs checks TokenLearner: against float64 on the CPU, with twice
 * the error of engine 'libtorch' or the mode's floor.
 */
import { Tensor, TokenFuser, TokenLearnerV10, TokenLearnerV11 } from '../../dist/index.mjs';
import { attempt } from './attempt.mjs';
import { numbers, relativeError } from './numbers.mjs';

// Odd sizes, which no tile divides, RT-1's and ViT-B's. [leading, C, H, W, G]
const SIZES = [
  { leading: [3], dim: 24, height: 5, width: 7, tokens: 5 },
  { leading: [2, 2], dim: 129, height: 9, width: 9, tokens: 8 },
  { leading: [2], dim: 40, height: 27, width: 42, tokens: 16 },
  { leading: [6], dim: 512, height: 9, width: 9, tokens: 8 },
  { leading: [4], dim: 768, height: 14, width: 14, tokens: 8 },
  { leading: [1], dim: 4000, height: 7, width: 9, tokens: 8 },
];

/** The layers, each with its forward: of the input, and of tokens for those that take them. */
const LAYERS = [
  { name: 'v1.0', Layer: TokenLearnerV10, sizes: ({ dim, tokens }) => ({ dim, numOutputTokens: tokens }) },
  { name: 'v1.1', Layer: TokenLearnerV11, sizes: ({ dim, tokens }) => ({ dim, numOutputTokens: tokens }) },
  {
    name: 'fuser',
    Layer: TokenFuser,
    sizes: ({ dim, tokens }) => ({ dim, numTokens: tokens }),
    takesTokens: true,
  },
];

async function resultOf({ Layer, takesTokens }, weights, inputs, options) {
  const layer = Layer.fromStateDict(weights, options);
  const call = { returnAttention: true };
  const result = takesTokens
    ? await layer.forward(inputs.tokens, inputs.x, call)
    : await layer.forward(inputs.x, call);
  layer.dispose();
  return { output: numbers(result.tokens ?? result.output), attention: numbers(result.attention) };
}

/** Weights as a state dict: random numbers, so that a TokenFuser's mix is not zero. */
function randomWeights({ Layer, sizes }, size, dtype) {
  const layer = new Layer({ ...sizes(size), device: 'cpu', dtype });
  return Object.fromEntries(
    Object.entries(layer.stateDict()).map(([key, tensor]) => {
      const scale = 1 / Math.sqrt(tensor.shape.slice(1).reduce((a, b) => a * b, 1));
      const values = Tensor.randn(tensor.shape).data.map((value) => value * scale);
      return [key, Tensor.from(values, tensor.shape).to(dtype)];
    }),
  );
}

async function checkLayer(layer, size, mode, device, check) {
  const x = Tensor.randn([...size.leading, size.dim, size.height, size.width]).to(mode.dtype);
  const tokens = Tensor.randn([...size.leading, size.dim, size.tokens]).to(mode.dtype);
  const weights = randomWeights(layer, size, mode.dtype);
  const wide = Object.fromEntries(Object.entries(weights).map(([key, value]) => [key, value.to('float64')]));
  const wideInputs = { x: x.to('float64'), tokens: tokens.to('float64') };
  const exact = await resultOf(layer, wide, wideInputs, { device: 'cpu', engine: 'libtorch' });
  const options = { device, allowTf32: mode.allowTf32 };
  const literal = await resultOf(layer, weights, { x, tokens }, { ...options, engine: 'libtorch' });
  const fused = await resultOf(layer, weights, { x, tokens }, { ...options, engine: 'fused' });
  for (const part of ['output', 'attention']) {
    const bound = Math.max(2 * relativeError(literal[part], exact[part]), mode.floor);
    const ours = relativeError(fused[part], exact[part]);
    check(
      `${layer.name} ${mode.name} (${x.shape}) G ${size.tokens} ${part}`,
      ours <= bound,
      `${ours.toExponential(2)}, allowed ${bound.toExponential(2)}`,
    );
  }
}

export async function runFamilyParity(check, { device, modes }) {
  for (const layer of LAYERS) {
    for (const mode of modes) {
      for (const size of SIZES) {
        await attempt(check, `${layer.name} ${mode.name} ${JSON.stringify(size)}`, () =>
          checkLayer(layer, size, mode, device, check),
        );
      }
    }
  }
}
