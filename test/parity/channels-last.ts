import type { FloatDType, Tensor } from '../../lib';

/** The same image as (..., H, W, C), contiguous. */
export function channelsLast(x: Tensor<FloatDType>): Tensor<FloatDType> {
  const axes = x.shape.map((_, axis) => axis);
  return x.permute([...axes.slice(0, -3), x.ndim - 2, x.ndim - 1, x.ndim - 3]).contiguous();
}
