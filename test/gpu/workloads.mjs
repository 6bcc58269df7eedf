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

/** The modes of the bench. */
export const MODES = [
  { name: 'float32', dtype: 'float32', allowTf32: false },
  { name: 'tf32', dtype: 'float32', allowTf32: true },
  { name: 'bfloat16', dtype: 'bfloat16', allowTf32: false },
  { name: 'float16', dtype: 'float16', allowTf32: false },
];

function choose(option, all, names) {
  if (names === undefined) return all;
  const unknown = names.filter((name) => all.every((each) => each.name !== name));
  if (unknown.length > 0)
    throw new RangeError(
      `Expected names out of ${all.map(({ name }) => name).join(', ')} for --${option} but received ${unknown.join(', ')}`,
    );
  return all.filter(({ name }) => names.includes(name));
}

/**
 * The rows to measure, [{workload, mode}].
 *
 * @param only - names of workloads; undefined for all. `modes` likewise.
 */
export function chooseRows({ only, modes }) {
  const workloads = choose('only', WORKLOADS, only);
  return choose('modes', MODES, modes).flatMap((mode) => workloads.map((workload) => ({ workload, mode })));
}

/** The floating-point operations of the first product, which is most of the work. */
export function firstProductFlops({ dim, ffMult, tokens, leading, height, width }) {
  const pixels = leading.reduce((product, size) => product * size, 1) * height * width;
  return 2 * tokens * ffMult * dim * dim * pixels;
}
