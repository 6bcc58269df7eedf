import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { evaluateScript } from '../../scripts/support';

/** The URL of test/bench/NAME.mjs, for an import. */
export function moduleUrl(name: string): string {
  return pathToFileURL(path.resolve(__dirname, '..', `${name}.mjs`)).href;
}

/** The JSON that an expression over the exports of test/bench/NAME.mjs, as `it`, gives. */
export function evaluate(name: string, expression: string): unknown {
  return evaluateScript(`../test/bench/${name}.mjs`, expression);
}
