/** Modules for other threads: a description of their structure, and their operators, which native code shares. */
import { binding } from '../binding';
import { TokenLearnerError } from '../errors';
import type { LayerHandle } from '../native-interface';
import { Shared } from '../shared';
import { unexpected } from '../validate';
import { makerOf, registeredName } from './classes';
import type { Module } from './module';
import { adoptLayers, type NativeLayer, signatureOf, type WholeDefinition } from './native';
import { withLayersFrom } from './opening';
import { className, demandState, isModule, stateOf } from './state';
import { allLayers, childrenOf, countNamed, distinctModules } from './tree';

/** A child of a described module. */
interface ChildDescription {
  name: string;
  /** Its position in {@link Description.modules}. */
  module: number;
  isProperty: boolean;
  isRegistered: boolean;
}

interface ModuleDescription {
  /** The name of the class, for messages. */
  name: string;
  /** The class of this package; null for a class of the user's own. */
  class: string | null;
  args: readonly unknown[];
  /** The position of its own layer among those that are shared; null if it has none. */
  layer: number | null;
  children: ChildDescription[];
}

interface Description {
  /** The first is the shared module itself. */
  modules: ModuleDescription[];
  /** The layers under each of their names, as `allLayers` lists them. */
  layers: { prefix: string; layer: number; signature: string }[];
}

/** Offers a module as it is now to all threads. */
export function shareModule<M extends Module>(module: M): Shared<M> {
  const modules = distinctModules(module).map(([, each]) => each);
  const positions = new Map(modules.map((each, i) => [each, i]));
  const layers = modules.flatMap((each) => stateOf(each)?.layer ?? []);
  const numbers = new Map(layers.map((layer, i) => [layer, i]));
  const description: Description = {
    modules: modules.map((each) => describeModule(each, positions, numbers)),
    layers: allLayers(module).map(({ prefix, layer }) => ({
      prefix,
      layer: numbers.get(layer) ?? -1,
      signature: signatureOf(layer.definition),
    })),
  };
  const handles = layers.map(({ handle }) => handle);
  return new Shared('shared-module', binding().shareLayers(JSON.stringify(description), handles));
}

function describeModule(
  module: Module,
  positions: ReadonlyMap<Module, number>,
  numbers: ReadonlyMap<NativeLayer, number>,
): ModuleDescription {
  const { layer, registered } = demandState(module);
  const names = new Set(registered.map(({ name }) => name));
  return {
    name: className(module),
    class: registeredName(module) ?? null,
    args: layer?.definition.arguments ?? [],
    layer: layer === undefined ? null : (numbers.get(layer) ?? -1),
    children: childrenOf(module).map(([name, child]) => ({
      name,
      module: positions.get(child) ?? -1,
      isProperty: Object.hasOwn(module, name),
      isRegistered: names.has(name),
    })),
  };
}

/** Makes a module over shared operators. Throws the errors of {@link openShared}. */
export function openModule(id: string, build: unknown): Module {
  if (build !== undefined && typeof build !== 'function')
    throw unexpected('ERR_INVALID_ARG_TYPE', 'build', 'a function that makes the module', build);
  const native = binding();
  const [text, handles] = native.openLayers(id);
  const description = JSON.parse(text) as Description;
  try {
    return build === undefined
      ? rebuilt(description, handles)
      : adopted(description, handles, build as () => unknown);
  } catch (error) {
    for (const handle of handles) native.disposeLayer(handle);
    throw error;
  }
}

/** Makes modules of this package's classes, as they are described. */
function rebuilt({ modules }: Description, handles: readonly LayerHandle[]): Module {
  const own = modules.find((each) => each.class === null);
  if (own !== undefined) {
    const expected = `a function that makes the module, since ${own.name} is not a class of this package`;
    throw unexpected('ERR_INVALID_ARG_TYPE', 'build', expected, undefined);
  }
  const made = new Map<number, Module>();
  const make = (position: number): Module => {
    const known = made.get(position);
    if (known !== undefined) return known;
    const description = modules[position];
    const maker = makerOf(description?.class ?? '');
    if (description === undefined || maker === undefined)
      throw new TokenLearnerError('ERR_INVALID_ARG_VALUE', 'The token is of another version of this package');
    const children = description.children.map((child) => make(child.module));
    const handle = description.layer === null ? undefined : handles[description.layer];
    const module = withLayersFrom(
      () => handle,
      () => maker(description.args, children),
    );
    addChildren(module, description.children, children);
    made.set(position, module);
    return module;
  };
  return make(0);
}

/** Gives a module its children under the same names, in the same order. */
function addChildren(
  module: Module,
  descriptions: readonly ChildDescription[],
  children: readonly Module[],
): void {
  const state = demandState(module);
  state.registered = [];
  children.forEach((child, i) => {
    const { name = '', isProperty, isRegistered } = descriptions[i] ?? {};
    if (isRegistered === true)
      state.registered = [...state.registered, { name, module: child, after: countNamed(module) }];
    if (isProperty === true)
      Object.defineProperty(module, name, {
        value: child,
        writable: true,
        enumerable: true,
        configurable: true,
      });
  });
}

/** Calls the user's `build`, and gives the layers of its module the shared operators. */
function adopted(description: Description, handles: readonly LayerHandle[], build: () => unknown): Module {
  const signatures = new Map(description.layers.map(({ layer, signature }) => [layer, signature]));
  const free = new Set(handles.keys());
  // Any layer of the same signature will do until all names are known.
  const take = (definition: WholeDefinition): LayerHandle | undefined => {
    const signature = signatureOf(definition);
    const found = [...free].find((i) => signatures.get(i) === signature);
    if (found === undefined) return undefined;
    free.delete(found);
    return handles[found];
  };
  const module = withLayersFrom(take, build);
  if (!isModule(module)) throw unexpected('ERR_INVALID_ARG_TYPE', 'build()', 'a module', module);
  const numbers = matched(description, handles, module);
  adoptLayers(
    [...numbers.keys()],
    [...numbers.values()].flatMap((i) => handles[i] ?? []),
  );
  return module;
}

/** The number of each layer of a module among the shared ones, by its names. Throws ERR_INVALID_ARG_VALUE. */
function matched(
  { layers }: Description,
  handles: readonly LayerHandle[],
  module: Module,
): Map<NativeLayer, number> {
  const fail = (what: string): TokenLearnerError =>
    new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected \`build\` to make a module of the shared one's structure, but ${what}`,
    );
  const shared = new Map(layers.map((each) => [each.prefix, each]));
  const opened = new Set(handles);
  const numbers = new Map<NativeLayer, number>();
  for (const { prefix, layer } of allLayers(module)) {
    const name = prefix === '' ? 'the module itself' : `'${prefix.slice(0, -1)}'`;
    const { definition, handle } = layer;
    const original = shared.get(prefix);
    shared.delete(prefix);
    if (original === undefined) throw fail(`the shared one has no layer ${name}`);
    if (original.signature !== signatureOf(definition))
      throw fail(`${name}, ${definition.repr.split('\n').join(' ')}, differs from that of the shared one`);
    if (!opened.has(handle) || (numbers.get(layer) ?? original.layer) !== original.layer)
      throw fail(`${name} was made elsewhere, or is one layer in one of them and two in the other`);
    numbers.set(layer, original.layer);
  }
  for (const { prefix } of shared.values()) throw fail(`it has no layer '${prefix.slice(0, -1)}'`);
  return numbers;
}
