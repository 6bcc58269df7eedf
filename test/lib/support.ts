import type { AnyTensor, FloatDType, Module, Tensor } from '../../lib';
import { dtypeInfo } from '../../lib/dtype';

/** A module that takes one tensor and returns one. */
export interface TensorModule extends Module {
  forward<D extends FloatDType>(input: Tensor<D>): Promise<Tensor<D>>;
  forwardSync<D extends FloatDType>(input: Tensor<D>): Tensor<D>;
}

export type Method = (this: unknown, ...args: unknown[]) => unknown;

/** A method or getter of a prototype, own or inherited. Call it on any `this`. */
export function methodOf(prototype: object, name: PropertyKey): Method {
  const own = Object.getOwnPropertyDescriptor(prototype, name);
  if (own === undefined) return methodOf(Object.getPrototypeOf(prototype) as object, name);
  const { get, value } = own as { get?: Method; value: Method };
  return get ?? value;
}

/** A tensor's elements as its memory holds them. 16-bit floats are their bits, even if `data` is a Float16Array. */
export function elementsOf(tensor: AnyTensor): (number | bigint)[] {
  const { array, itemSize } = dtypeInfo(tensor.dtype);
  const elements = new array(new ArrayBuffer(tensor.numel * itemSize));
  return Array.from(tensor.copyTo(elements as never) as Iterable<number | bigint>);
}

/** The element at `index`, which must exist. */
export function at<T>(list: readonly T[], index: number): T {
  const value = list[index];
  if (value === undefined) throw new RangeError(`There is no element ${index}`);
  return value;
}
