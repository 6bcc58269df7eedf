import { evaluateScript } from '../../scripts/support';

/** The JSON that an expression over the exports of test/gpu/NAME.mjs, as `it`, gives. */
export function evaluate(name: string, expression: string): unknown {
  return evaluateScript(`../test/gpu/${name}.mjs`, expression);
}
