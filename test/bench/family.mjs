/**
 * `npm run bench:family`: the other TokenLearners against PyTorch and onnxruntime on the same mathematics, interleaved, each contender in a
 * process of its own.
 *
 *     npm run bench:family [-- [--output FOLDER] [--threads N] [--only NAME,...]]
 *
 * Prints a table, and writes family-cpu.json into the folder (default: build/bench). docs/which-tokenlearner.md has those of
 * test/bench/results.
 */
import { main } from '../../scripts/tools.mjs';
import { compare } from './comparison.mjs';
import { CONTENDERS } from './contenders.mjs';
import { FAMILY } from './workloads.mjs';

const [FUSED, ...PEERS] = CONTENDERS.filter(({ id }) =>
  ['fused', 'eager', 'compile', 'ort-node', 'ort-python'].includes(id),
);
const LIBTORCH = {
  id: 'libtorch',
  label: 'tokenlearner, libtorch',
  form: 'repeated',
  program: 'tokenlearner',
  peer: 'libtorch',
};

/** Multiply-adds of one forward, in units of 10^9: C * D + D * G + C * G a pixel for v1.1; nine C * G and the sum for v1.0. */
function gigaMultiplyAdds({ module, dim, numOutputTokens: tokens, bottleneckDim = 64, shape }) {
  const pixels = shape.reduce((product, size) => product * size, 1) / dim;
  const each =
    module === 'TokenLearnerV11'
      ? dim * bottleneckDim + bottleneckDim * tokens + dim * tokens
      : 9 * dim * tokens + 27 * tokens * tokens + dim * tokens;
  return (pixels * each) / 1e9;
}

await main(() =>
  compare({
    workloads: FAMILY.map((each) => ({ ...each, gigaMultiplyAdds: gigaMultiplyAdds(each) })),
    contenders: [FUSED, LIBTORCH, ...PEERS],
    file: 'family-cpu.json',
    more: [
      {
        title: 'GFLOP/s of fused',
        cell: ({ gigaMultiplyAdds: work }, { fused }) => ((2 * work * 1e3) / fused.medianMs).toFixed(0),
      },
    ],
  }),
);
