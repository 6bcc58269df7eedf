/** The workloads of every benchmark, as test/bench/workloads.json has them. */
import { readFileSync } from 'node:fs';

const file = new URL('../bench/workloads.json', import.meta.url);

/** {name, dim, ffMult, tokens, leading, height, width} each, as baseline.py takes them too. */
export const WORKLOADS = Object.entries(JSON.parse(readFileSync(file, 'utf8'))).map(
  ([name, { dim, ffMult, numOutputTokens: tokens, shape }]) => {
    const [height, width] = shape.slice(-2);
    return { name, dim, ffMult, tokens, leading: shape.slice(0, -3), height, width };
  },
);

/** Floating-point operations of the first product, the bulk of the work. */
export function firstProductFlops({ dim, ffMult, tokens, leading, height, width }) {
  const pixels = leading.reduce((product, size) => product * size, 1) * height * width;
  return 2 * tokens * ffMult * dim * dim * pixels;
}
