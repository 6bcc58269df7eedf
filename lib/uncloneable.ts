const symbols = new Map<string, symbol>();

/**
 * The value of an own, enumerable property that makes `structuredClone` and `postMessage` throw a DataCloneError. Without it
 * objects with private fields become `{}`. No version of Node can clone a symbol, and the error quotes its description.
 */
export function uncloneable(what: string): symbol {
  const known = symbols.get(what) ?? Symbol(what);
  symbols.set(what, known);
  return known;
}
