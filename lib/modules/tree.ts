/** A module's children, and what lies under them. */
import { types } from 'node:util';
import { TokenLearnerError } from '../errors';
import { inspectSymbol } from '../tensor/format';
import { isPlainObject } from '../validate';
import type { Module } from './module';
import type { NativeLayer, ParameterSpec } from './native';
import { assertNotDisposed, className, demandState, isModule, stateOf } from './state';

/** A child's name and the child. */
export type NamedModule = [name: string, module: Module];

/** A native layer under a module. */
export interface NamedLayer {
  /** The prefix of the parameters' names: '0.net.'. */
  prefix: string;
  layer: NativeLayer;
}

/** The deepest nesting of modules. Native graphs have the same limit. */
const DEEPEST = 256;

/** True for a property name that JavaScript lists before all others, whatever the order of assignment. */
function isIndex(name: string): boolean {
  return /^(?:0|[1-9]\d{0,9})$/.test(name);
}

/** The number of own properties that are listed in the order of assignment. */
export function countNamed(module: Module): number {
  return Object.keys(module).filter((name) => !isIndex(name)).length;
}

/**
 * A module's children in the order of their registration: its own enumerable properties that are modules, and those from
 * `registerModule`. A property replaces a registered child of the same name.
 */
export function childrenOf(module: Module): NamedModule[] {
  const { registered } = demandState(module);
  const entries: [string, unknown][] = Object.entries(module);
  const own = entries.filter((entry): entry is NamedModule => isModule(entry[1]));
  if (own.length === 0) return registered.map(({ name, module: child }) => [name, child]);
  const named = entries.filter(([name]) => !isIndex(name)).map(([name]) => name);
  // One that was registered after n properties comes before property n. Indexes come last.
  const positions = new Map(named.map((name, i) => [name, i]));
  for (const { name, after } of registered) positions.set(name, after - 0.5);
  const children = new Map([
    ...registered.map(({ name, module: child }): NamedModule => [name, child]),
    ...own,
  ]);
  const position = ([name]: NamedModule): number => positions.get(name) ?? named.length;
  return [...children].sort((a, b) => position(a) - position(b));
}

/** The children of a module in order, without their names. */
export function modulesOf(module: Module): Module[] {
  return childrenOf(module).map(([, child]) => child);
}

/** The modules in an array, a plain object, a Map or a Set, with the name of that; none in other values. */
function heldIn(value: unknown): [container: string, modules: Module[]] {
  if (Array.isArray(value)) return ['an array', value.filter(isModule)];
  if (types.isMap(value)) return ['a Map', [...value.values()].filter(isModule)];
  if (types.isSet(value)) return ['a Set', [...value].filter(isModule)];
  return ['an object', isPlainObject(value) ? Object.values(value).filter(isModule) : []];
}

/** All modules under a module, itself included. */
function reachable(module: Module, found = new Set<Module>()): Set<Module> {
  if (found.has(module)) return found;
  found.add(module);
  for (const child of modulesOf(module)) reachable(child, found);
  return found;
}

/** Refuses a collection of modules whose parameters would be left out without notice. Throws ERR_INVALID_ARG_VALUE. */
function refuseLost(module: Module): void {
  for (const [name, value] of Object.entries(module) as [string, unknown][]) {
    const [container, held] = heldIn(value);
    if (held.length === 0) continue;
    const found = reachable(module);
    if (held.every((each) => found.has(each))) continue;
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected a ModuleList for \`${className(module)}.${name}\` but received ${container} of modules, whose parameters nobody would find`,
    );
  }
}

/** Calls `visit` on a module and all modules under it, parents first, with the prefix of the parameters' names. */
function walk(
  module: Module,
  visit: (module: Module, prefix: string) => boolean,
  prefix = '',
  above: readonly Module[] = [],
): void {
  assertNotDisposed(module);
  if (!visit(module, prefix)) return;
  refuseLost(module);
  if (above.includes(module) || above.length > DEEPEST) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      above.includes(module)
        ? `The ${className(module)} contains itself, as ${prefix.slice(0, -1)}: keep such a reference in a #private field`
        : `Modules nest at most ${DEEPEST} deep`,
    );
  }
  for (const [name, child] of childrenOf(module)) {
    walk(child, visit, `${prefix}${name}.`, [...above, module]);
  }
}

/**
 * All native layers under a module, in PyTorch's order. A layer that is shared has an entry for each of its names. Throws
 * ERR_DISPOSED, ERR_INVALID_ARG_VALUE.
 */
export function allLayers(module: Module): NamedLayer[] {
  // A set, since an array's push would call setters of Array.prototype.
  const layers = new Set<NamedLayer>();
  walk(module, (each, prefix) => {
    const layer = stateOf(each)?.layer;
    if (layer !== undefined) layers.add({ prefix, layer });
    return true;
  });
  return [...layers];
}

/** All modules under a module, itself first, each once: under the first of its names. Throws as {@link allLayers}. */
export function distinctModules(module: Module): NamedModule[] {
  const found = new Map<Module, string>();
  walk(module, (each, prefix) => {
    if (found.has(each)) return false;
    found.set(each, prefix.slice(0, -1));
    return true;
  });
  return [...found].map(([each, name]) => [name, each]);
}

/** The layers of {@link allLayers}, each once: under the first of its names. */
export function distinctLayers(module: Module): NamedLayer[] {
  return distinctModules(module).flatMap(([name, each]) => {
    const layer = stateOf(each)?.layer;
    return layer === undefined ? [] : [{ prefix: name === '' ? '' : `${name}.`, layer }];
  });
}

/** The parameters of layers, with their full names. */
export function parameterSpecs(layers: readonly NamedLayer[]): ParameterSpec[] {
  return layers.flatMap(({ prefix, layer }) =>
    layer.specs.map((spec) => ({ ...spec, name: prefix + spec.name })),
  );
}

/** The modules whose repr is being made, for those that contain themselves. */
const printing = new Set<Module>();

/** The reprs of a module's children, by name. */
export function childReprs(module: Module): [name: string, text: string][] {
  printing.add(module);
  try {
    return childrenOf(module).map(([name, child]) => [
      name,
      printing.has(child) ? `${className(child)}(...)` : child[inspectSymbol](),
    ]);
  } finally {
    printing.delete(module);
  }
}

/** Indents all lines of a child's repr except the first, as PyTorch does. */
export function indented(text: string): string {
  return text.split('\n').join('\n  ');
}

/**
 * PyTorch's repr of a module: the class's name, then `own` and the children.
 *
 * @param own - the text between the parentheses that the module itself has; it may have lines.
 */
export function repr(module: Module, own = ''): string {
  const name = className(module);
  const children = childReprs(module).map(([key, text]) => `  (${key}): ${indented(text)}`);
  if (children.length === 0) return `${name}(${own})`;
  const lines = own.includes('\n') ? own.split('\n') : [`  ${own}`];
  return [`${name}(`, ...lines.filter((line) => line.trim() !== ''), ...children, ')'].join('\n');
}
