/** The documentation's advice for large inputs: downsample before the TokenLearner. */
import { MaxPool2d, Sequential, Tensor, TokenLearner } from 'tokenlearner';

export async function main(): Promise<readonly number[]> {
  const model = new Sequential(new MaxPool2d(4), new TokenLearner({ dim: 64 }));
  const x = Tensor.randn([1, 64, 256, 256]);
  const tokens = await model.forward(x);
  console.log(tokens.shape); // [1, 64, 8]
  return tokens.shape;
}
