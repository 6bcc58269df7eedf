/**
 * TokenLearner and TokenFuser around a block, as in the official encoder: the block works on eight tokens, and what it finds goes back to
 * all pixels. The residual is outside the fuser.
 */
import { GELU, Linear, Sequential, Tensor, TokenFuser, TokenLearnerV11 } from 'tokenlearner';

const CHANNELS = 64;

export async function main(): Promise<readonly number[]> {
  const learner = new TokenLearnerV11({ dim: CHANNELS });
  const fuser = new TokenFuser({ dim: CHANNELS });
  // In the place of a transformer's block.
  const block = new Sequential(
    new Linear(CHANNELS, 4 * CHANNELS),
    new GELU(),
    new Linear(4 * CHANNELS, CHANNELS),
  );

  const x = Tensor.randn([2, 14 * 14, CHANNELS]);
  const tokens = await learner.forward(x, { inputLayout: 'channels-last', layout: 'tokens-first' });
  const changed = await block.forward(tokens);
  const fused = await fuser.forward(changed, x, { inputLayout: 'channels-last', layout: 'tokens-first' });
  const sums = x.data.map((value, i) => value + (fused.data[i] ?? 0));
  const y = Tensor.from(sums, x.shape);
  console.log(y.shape); // [2, 196, 64]
  return y.shape;
}
