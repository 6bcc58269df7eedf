const symbols = new Map<string, symbol>();

/**
 * The value of an own, enumerable property that makes `structuredClone` and `postMessage` throw a DataCloneError on every version
 * of Node: they cannot clone a symbol, and quote its description. Otherwise objects with private fields become `{}`.
 */
export function uncloneable(what: string): symbol {
  const known = symbols.get(what) ?? Symbol(what);
  symbols.set(what, known);
  return known;
}
