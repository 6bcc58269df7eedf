/** RT-1's use of TokenLearner: the feature maps of six frames become eight tokens each, in one sequence for a transformer. */
import { Tensor, TokenLearnerV11 } from 'tokenlearner';

const FRAMES = 6;
const TOKENS = 8;
const CHANNELS = 512;

export async function main(): Promise<readonly number[]> {
  // With trained weights: TokenLearnerV11.fromStateDict(await loadWeights('rt1.safetensors')).
  const learner = new TokenLearnerV11({ dim: CHANNELS, numOutputTokens: TOKENS });
  // The output of the image network: 9 x 9 pixels of each frame, channels last.
  const features = Tensor.randn([FRAMES, 9 * 9, CHANNELS]);
  const tokens = await learner.forward(features, { inputLayout: 'channels-last', layout: 'tokens-first' });
  const sequence = tokens.reshape([FRAMES * TOKENS, CHANNELS]);
  console.log(sequence.shape); // [48, 512]
  return sequence.shape;
}
