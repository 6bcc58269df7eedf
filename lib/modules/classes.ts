/** The classes of this package by name, for `openShared`: it makes modules of the same classes in another thread. */
import type { Module } from './module';

/** Makes a module of the arguments in its layer's definition, and of its children. */
type Maker = (args: readonly unknown[], children: readonly Module[]) => Module;

const makers = new Map<string, Maker>();
const names = new Map<object, string>();

/** Registers a class. Each class calls it when it loads. */
export function registerClass(name: string, { prototype }: { prototype: Module }, make: Maker): void {
  makers.set(name, make);
  names.set(prototype, name);
}

/** The name of a module's class; undefined unless it is one of this package, used as it is: without methods of the object's own. */
export function registeredName(module: Module): string | undefined {
  if (Object.values(module).some((value) => typeof value === 'function')) return undefined;
  return names.get(Object.getPrototypeOf(module) as object);
}

/** The maker of a class; undefined if there is no such class. */
export function makerOf(name: string): Maker | undefined {
  return makers.get(name);
}
