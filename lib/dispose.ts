/**
 * Defines `Symbol.dispose` if the host lacks it, as early Node 20 and the realms of test runners on it do. Compilers fall
 * back to this same symbol for `using`. Import this file before any class that has the method.
 */
if ((Symbol as { dispose?: symbol }).dispose === undefined) {
  Object.defineProperty(Symbol, 'dispose', { value: Symbol.for('Symbol.dispose') });
}
