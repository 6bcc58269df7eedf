import type { AnyTensor } from '../../lib';
import { dtypeInfo } from '../../lib/dtype';

export type Method = (this: unknown, ...args: unknown[]) => unknown;

/** A method or getter of a prototype, to be called on a `this` of any kind. */
export function methodOf(prototype: object, name: PropertyKey): Method {
  const { get, value } = Object.getOwnPropertyDescriptor(prototype, name) as { get?: Method; value: Method };
  return get ?? value;
}

/** A tensor's elements as its memory has them: 16-bit floats as their bits, also where `data` is a Float16Array. */
export function elementsOf(tensor: AnyTensor): (number | bigint)[] {
  const { array, itemSize } = dtypeInfo(tensor.dtype);
  const elements = new array(new ArrayBuffer(tensor.numel * itemSize));
  return Array.from(tensor.copyTo(elements as never) as Iterable<number | bigint>);
}
