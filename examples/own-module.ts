/** A module of your own: its children's parameters are in its state dict, and it is a step of a Sequential. */
import { Linear, Module, ReLU, Sequential, Tensor, TokenLearner } from 'tokenlearner';

class Classifier extends Module {
  readonly backbone = new TokenLearner({ dim: 64 });
  readonly head = new Linear(64 * 8, 10);

  override async forward(x: Tensor): Promise<Tensor> {
    const tokens = await this.backbone.forward(x);
    return this.head.forward(tokens.reshape([-1, 64 * 8]));
  }
}

export async function main(): Promise<readonly number[]> {
  const model = new Sequential(new ReLU(), new Classifier());
  const output = await model.forward(Tensor.randn([1, 64, 32, 32]));
  console.log(output.shape, Object.keys(model.stateDict())); // [1, 10], ['1.backbone.net.0.weight', ...]
  return output.shape;
}
