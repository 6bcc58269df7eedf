/**
 * PyTorch's parameter initialisation: torch.nn.init, and reset_parameters of Conv2d and Linear. It makes the same draws in the
 * same order from the same generator, so a seed gives the same parameters as in PyTorch.
 */
import { binding } from './binding';
import type { DType } from './dtype';
import type { Shape } from './shape';
import { type AnyTensor, Tensor, tensorArgument } from './tensor/tensor';

/** The bound of torch.nn.init.kaiming_uniform_(weight, a=sqrt(5)), in double and with PyTorch's order of operations. */
function kaimingBound(fanIn: number): number {
  const gain = Math.sqrt(2 / (1 + Math.sqrt(5) ** 2));
  return Math.sqrt(3) * (gain / Math.sqrt(fanIn));
}

function uniform(shape: Shape, bound: number): AnyTensor {
  const tensor = Tensor.empty(shape);
  binding().uniform(tensorArgument('tensor', tensor), -bound, bound);
  return tensor;
}

/** Converts draws from float32. PyTorch draws in float32 too, and `module.to(dtype)` converts afterwards. Disposes `tensor`. */
function converted(tensor: AnyTensor, dtype: DType): AnyTensor {
  if (dtype === tensor.dtype) return tensor;
  try {
    return tensor.to(dtype);
  } finally {
    tensor.dispose();
  }
}

/** The weight, then the bias, of a convolution or linear layer. `shape` is the weight's: (out, in / groups, ...). */
export function weightAndBias(shape: Shape, bias: boolean, dtype: DType): AnyTensor[] {
  const fanIn = shape.slice(1).reduce((product, size) => product * size, 1);
  const weight = uniform(shape, kaimingBound(fanIn));
  const tensors = bias ? [weight, uniform(shape.slice(0, 1), 1 / Math.sqrt(fanIn))] : [weight];
  return tensors.map((tensor) => converted(tensor, dtype));
}
