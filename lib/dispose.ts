/**
 * Defines `Symbol.dispose` and `Symbol.asyncDispose` if the host lacks them, as early Node 20 and the realms of test runners on it do. Compilers
 * fall back to these same symbols for `using`. Import this file before any class that has such a method.
 */
for (const name of ['dispose', 'asyncDispose'] as const) {
  if ((Symbol as { dispose?: symbol; asyncDispose?: symbol })[name] === undefined)
    Object.defineProperty(Symbol, name, { value: Symbol.for(`Symbol.${name}`) });
}
