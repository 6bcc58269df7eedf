/** The documentation's third example: TokenLearner in a model with other modules. */
import { Flatten, Linear, Sequential, Tensor, TokenLearner } from 'tokenlearner';

export async function main(): Promise<readonly number[]> {
  const tokenLearner = new TokenLearner({ dim: 64 });
  const model = new Sequential(tokenLearner, new Flatten(), new Linear(64 * 8, 10));
  const x = Tensor.randn([1, 64, 32, 32]);
  const output = await model.forward(x);
  console.log(output.shape); // [1, 10]
  return output.shape;
}
