/**
 * `npm run bench:bfloat16`: TokenLearner with 16-bit and 8-bit arithmetic, interleaved, each contender in a process of its own: ours in
 * bfloat16, PyTorch eager and torch.compile in bfloat16, and onnxruntime with dynamic quantisation of the weights to 8 bits, since its CPU
 * provider has no bfloat16. The errors are those of the tokens to float64, relative, L2.
 *
 *     npm run bench:bfloat16 [-- [--output FOLDER] [--threads N] [--only NAME,...]]
 *
 * Prints a table, and writes bfloat16-cpu.json into the folder (default: build/bench).
 */
import { main } from '../../scripts/tools.mjs';
import { compare } from './comparison.mjs';
import { CONTENDERS, NARROW_CONTENDERS } from './contenders.mjs';
import { WORKLOADS } from './workloads.mjs';

const [FUSED] = CONTENDERS;

await main(() =>
  compare({
    workloads: WORKLOADS,
    contenders: [...NARROW_CONTENDERS, FUSED],
    file: 'bfloat16-cpu.json',
    more: NARROW_CONTENDERS.map(({ id }) => ({
      title: `error of ${id}`,
      cell: (_, { [id]: measured }) => measured?.error?.toExponential(1) ?? '–',
    })),
  }),
);
