/** The workloads of all benchmarks, from test/bench/workloads.json. */
import { readFileSync } from 'node:fs';

const file = new URL('../bench/workloads.json', import.meta.url);

/** Each is {name, dim, ffMult, tokens, leading, height, width}, which baseline.py reads too. */
export const WORKLOADS = Object.entries(JSON.parse(readFileSync(file, 'utf8'))).map(
  ([name, { dim, ffMult, numOutputTokens: tokens, shape }]) => {
    const [height, width] = shape.slice(-2);
    return { name, dim, ffMult, tokens, leading: shape.slice(0, -3), height, width };
  },
);

/** The floating-point operations of the first product, which is most of the work. */
export function firstProductFlops({ dim, ffMult, tokens, leading, height, width }) {
  const pixels = leading.reduce((product, size) => product * size, 1) * height * width;
  return 2 * tokens * ffMult * dim * dim * pixels;
}
