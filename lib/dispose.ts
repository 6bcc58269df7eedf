/**
 * Defines `Symbol.dispose` and `Symbol.asyncDispose` if the host lacks them, as early Node 20 and the realms of test runners on it do. Compilers
 * fall back to these same symbols for `using`. Import this file before any class that has such a method.
 *
 * The declarations are those of TypeScript's esnext.disposable and of @types/node. With them, the types of this package need neither.
 */
declare global {
  interface SymbolConstructor {
    /** The method that `using` calls at the end of its block. */
    readonly dispose: unique symbol;
    /** The method that `await using` calls at the end of its block. */
    readonly asyncDispose: unique symbol;
  }
}

for (const name of ['dispose', 'asyncDispose'] as const) {
  if ((Symbol as { dispose?: symbol; asyncDispose?: symbol })[name] === undefined)
    Object.defineProperty(Symbol, name, { value: Symbol.for(`Symbol.${name}`) });
}
