/**
 * `Symbol.dispose` where the runtime lacks it (early Node 20, and the realms that test runners make on it): the symbol that
 * compilers fall back to for `using`. Import before a class that has the method.
 */
if ((Symbol as { dispose?: symbol }).dispose === undefined) {
  Object.defineProperty(Symbol, 'dispose', { value: Symbol.for('Symbol.dispose') });
}
