/** The workloads that every timing and every claim about speed uses: test/bench/workloads.json. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../../scripts/tools.mjs';

const read = (file) =>
  Object.entries(JSON.parse(readFileSync(path.join(root, 'test', 'bench', file), 'utf8'))).map(
    ([name, config]) => ({ name, ...config }),
  );

/** {name, from, dim, ffMult, numOutputTokens, shape}, in the file's order. */
export const WORKLOADS = read('workloads.json');

/** Those of the other TokenLearners: {name, from, module, dim, numOutputTokens, shape}. */
export const FAMILY = read('family.json');

/** Floating-point operations of the first matrix product, in units of 10^9. */
export function gigaflops({ dim, ffMult, numOutputTokens, shape }) {
  const pixels = shape.reduce((product, size) => product * size, 1) / dim;
  return (2 * numOutputTokens * ffMult * dim * dim * pixels) / 1e9;
}
