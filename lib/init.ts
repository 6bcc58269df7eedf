/**
 * PyTorch's parameter initialisation: torch.nn.init, and reset_parameters of Conv2d and Linear. It makes the same draws in the
 * same order from the same generator, so a seed gives the same parameters as in PyTorch. And flax's distributions, which the
 * TokenLearner family's official code uses; JAX's generators are others, so a seed cannot give its numbers.
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

/** `ones` or `zeros` in a dtype. */
export function constant(shape: Shape, value: 0 | 1, dtype: DType): AnyTensor {
  return value === 1 ? Tensor.ones(shape, { dtype }) : Tensor.zeros(shape, { dtype });
}

/** flax's xavier_uniform of a dense layer's weight (out, in). */
export function xavierUniform(shape: readonly [number, number], dtype: DType): AnyTensor {
  return converted(uniform(shape, Math.sqrt(6 / (shape[0] + shape[1]))), dtype);
}

/** Normal numbers with this standard deviation. */
export function normal(shape: Shape, deviation: number, dtype: DType): AnyTensor {
  const tensor = Tensor.randn(shape);
  const { data } = tensor;
  data.forEach((value, i) => {
    data[i] = value * deviation;
  });
  return converted(tensor, dtype);
}

/** The standard deviation of a standard normal number that lies in [-2, 2]. */
const TRUNCATED_DEVIATION = 0.87962566103423978;

/** flax's lecun_normal of a convolution's weight (out, in / groups, ...): normal numbers of at most two deviations. */
export function lecunNormal(shape: Shape, dtype: DType): AnyTensor {
  const fanIn = shape.slice(1).reduce((product, size) => product * size, 1);
  const deviation = Math.sqrt(1 / fanIn) / TRUNCATED_DEVIATION;
  const tensor = Tensor.randn(shape);
  const { data } = tensor;
  data.forEach((value, i) => {
    data[i] = withinTwo(value) * deviation;
  });
  return converted(tensor, dtype);
}

/** A normal number, or else the next ones that are drawn, until one is in [-2, 2]. */
function withinTwo(value: number): number {
  let drawn = value;
  while (!(Math.abs(drawn) <= 2)) {
    const next = Tensor.randn([1]);
    drawn = next.item();
    next.dispose();
  }
  return drawn;
}
