/**
 * Defines `Symbol.dispose` if the host lacks it, as early Node 20 and the realms of test runners on it do. Compilers fall
 * back to this same symbol for `using`. Import this file before any class that has the method.
 *
 * The declaration is that of TypeScript's esnext.disposable and of @types/node. With it, the types of this package need neither.
 */
declare global {
  interface SymbolConstructor {
    /** The method that `using` calls at the end of its block. */
    readonly dispose: unique symbol;
  }
}

if ((Symbol as { dispose?: symbol }).dispose === undefined) {
  Object.defineProperty(Symbol, 'dispose', { value: Symbol.for('Symbol.dispose') });
}
