/**
 * The contents of a module, for test runners to compare and print.
 *
 * The deep comparisons of jest, vitest, bun and node:assert read an object's own enumerable properties, so each module has one with
 * the options, dtype, device and parameters of its own layer, and its registered children. Test runners compare children that are
 * properties as such. The property computes its value when it is read.
 */
import type { Module } from './module';
import type { NativeLayer } from './native';
import { demandState, isModule, type ModuleState } from './state';

/** Characters of a parameter's SHA-256 that are shown. */
const DIGITS = 16;

/** A parameter as a line: its dtype, its shape, and a hash of its bytes. The elements of a large model would fill a test's report. */
function summaryOf(layer: NativeLayer): Record<string, string> {
  // Loaded at need: it takes milliseconds.
  const { createHash } = process.getBuiltinModule('node:crypto');
  const summaries: [string, string][] = layer.readParameters().map((tensor, i) => {
    const { buffer, byteOffset, byteLength } = tensor.data;
    const hash = createHash('sha256')
      .update(new Uint8Array(buffer, byteOffset, byteLength))
      .digest('hex');
    const text = `${tensor.dtype} [${tensor.shape.join(', ')}] sha256 ${hash.slice(0, DIGITS)}`;
    tensor.dispose();
    return [layer.specs[i]?.name ?? '', text];
  });
  return Object.fromEntries(summaries);
}

/** Reads a part of a module. Where that fails, as for a disposed module, a symbol that equals no other. */
function readable<T>(state: ModuleState, read: () => T): T | symbol {
  if (state.disposed) return Symbol('disposed');
  try {
    return read();
  } catch {
    return Symbol('unreadable');
  }
}

/** No plain object: those are searched for modules. */
const PROTOTYPE: object = {};

/** The value of a module's property `comparison`. Its own properties are accessors. */
export function moduleContents(module: Module): object {
  const state = demandState(module);
  const ofLayer = <T>(read: (layer: NativeLayer) => T): T | symbol | undefined => {
    const { layer } = state;
    return layer && readable(state, () => read(layer));
  };
  return {
    __proto__: PROTOTYPE,
    get layer() {
      return ofLayer(({ definition }) => ({ kind: definition.kind, ...definition.config }));
    },
    get placement() {
      return ofLayer((layer) => layer.placement());
    },
    get parameters() {
      return ofLayer(summaryOf);
    },
    get registered() {
      const hidden = state.registered.filter(({ name }) => !isProperty(module, name));
      if (state.disposed) return Symbol('disposed');
      return Object.fromEntries(hidden.map(({ name, module: child }) => [name, child]));
    },
  };
}

function isProperty(module: Module, name: string): boolean {
  return isModule((module as unknown as Record<string, unknown>)[name]) && Object.hasOwn(module, name);
}
