/** The documentation's second example: a wider hidden layer and more tokens. */
import { Tensor, TokenLearner } from 'tokenlearner';

export async function main(): Promise<readonly number[]> {
  const tokenLearner = new TokenLearner({ dim: 128, ffMult: 4, numOutputTokens: 16 });
  const x = Tensor.randn([2, 128, 64, 64]);
  const tokens = await tokenLearner.forward(x);
  console.log(tokens.shape); // [2, 128, 16]
  return tokens.shape;
}
