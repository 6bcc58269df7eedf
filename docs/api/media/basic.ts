/** The documentation's first example: a feature map becomes eight tokens. */
import { Tensor, TokenLearner } from 'tokenlearner';

export async function main(): Promise<readonly number[]> {
  const tokenLearner = new TokenLearner({ dim: 64 });
  const x = Tensor.randn([1, 64, 32, 32]);
  const tokens = await tokenLearner.forward(x);
  console.log(tokens.shape); // [1, 64, 8]
  return tokens.shape;
}
