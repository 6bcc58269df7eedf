/** How the modules that `openShared` makes get their layers: the constructors ask here before they create one. */
import type { LayerHandle } from '../native-interface';
import type { WholeDefinition } from './native';

type Source = (definition: WholeDefinition) => LayerHandle | undefined;

const none: Source = () => undefined;
let source = none;

/** The opened layer for a module that is being constructed; undefined if it has to create one. */
export function openedLayer(definition: WholeDefinition): LayerHandle | undefined {
  return source(definition);
}

/** Calls `make`. The modules that it constructs meanwhile take their layers from `from`. */
export function withLayersFrom<R>(from: Source, make: () => R): R {
  const outer = source;
  source = from;
  try {
    return make();
  } finally {
    source = outer;
  }
}
