export type Method = (this: unknown, ...args: unknown[]) => unknown;

/** A method or getter of a prototype, to be called on a `this` of any kind. */
export function methodOf(prototype: object, name: PropertyKey): Method {
  const { get, value } = Object.getOwnPropertyDescriptor(prototype, name) as { get?: Method; value: Method };
  return get ?? value;
}
