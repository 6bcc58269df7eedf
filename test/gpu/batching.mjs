/**
 * The batcher on the GPU: requests of mixed sizes, each with the bits that it gets alone, on the fused engines; and several models,
 * dtypes and options at the same time.
 */
import { Batcher, Tensor, TokenLearner, TokenLearnerV10, TokenLearnerV11 } from '../../dist/index.mjs';
import { attempt } from './attempt.mjs';
import { numbers, sameBits } from './numbers.mjs';

/** The batcher's own switch for tests: no batch begins until so many requests wait. */
export const HOLD = Symbol.for('tokenlearner.batcher.hold');

const REQUESTS = 48;

/** Sizes on both sides of every limit of the kernels, with none, one and two leading dimensions. */
const LEADING = [[], [1], [2], [2, 3]];
const PIXELS = [
  [1, 1],
  [5, 7],
  [8, 8],
  [9, 9],
  [7, 14],
  [14, 14],
  [33, 34],
];

const LAYERS = [TokenLearner, TokenLearnerV10, TokenLearnerV11];

function inputs(dim, dtype) {
  return Array.from({ length: REQUESTS }, (_, i) =>
    Tensor.randn([...LEADING[i % LEADING.length], dim, ...PIXELS[i % PIXELS.length]]).to(dtype),
  );
}

async function resultsOf(run, xs) {
  const results = await Promise.all(xs.map((x) => run(x, { returnAttention: true })));
  return results.map(({ tokens, attention }) => [numbers(tokens), numbers(attention)]);
}

async function checkLayer(check, device, Layer, { name, dtype, allowTf32 }, dim) {
  const layer = new Layer({ dim, device, dtype, allowTf32, engine: 'fused' });
  const xs = inputs(dim, dtype);
  const alone = [];
  for (const x of xs) alone.push(...(await resultsOf((...args) => layer.forward(...args), [x])));
  const batcher = new Batcher(layer, { maxBatchSize: Infinity });
  for (const where of ['cpu', device]) {
    const there = xs.map((x) => x.to(where));
    batcher[HOLD](REQUESTS);
    const together = await resultsOf((...args) => batcher.forward(...args), there);
    const different = together.filter((parts, i) => !parts.every((part, j) => sameBits(part, alone[i][j])));
    check(
      `batcher: ${Layer.name} ${name} dim ${dim}, inputs on ${where}: mixed sizes have the bits of each alone`,
      different.length === 0,
      `${different.length} of ${REQUESTS} differ`,
    );
  }
  await batcher.close();
  layer.dispose();
}

/** Many batchers at once: the lanes' streams and the memory of all of them at the same time. */
async function checkMixed(check, device, modes) {
  const parts = modes.flatMap(({ dtype, allowTf32 }) =>
    [48, 256].map((dim) => {
      const layer = new TokenLearner({ dim, device, dtype, allowTf32 });
      return { layer, batcher: new Batcher(layer), xs: inputs(dim, dtype) };
    }),
  );
  const alone = [];
  for (const { layer, xs } of parts) {
    for (const x of xs) alone.push(numbers(await layer.forward(x)));
  }
  let wrong = 0;
  for (let round = 0; round < 5; round++) {
    const running = parts.flatMap(({ batcher, xs }) => xs.map((x) => batcher.forward(x)));
    const results = await Promise.all(running);
    wrong += results.filter((tokens, i) => !sameBits(numbers(tokens), alone[i])).length;
  }
  for (const { batcher } of parts) await batcher.close();
  check(
    'batcher: several models, dtypes and streams at once have the bits of each alone',
    wrong === 0,
    `${wrong} wrong`,
  );
}

export async function runBatching(check, { device, modes }) {
  for (const Layer of LAYERS) {
    for (const mode of modes) {
      for (const dim of [24, 384]) {
        await attempt(check, `batcher ${Layer.name} ${mode.name} dim ${dim}`, () =>
          checkLayer(check, device, Layer, mode, dim),
        );
      }
    }
  }
  await attempt(check, 'batchers at once', () => checkMixed(check, device, modes));
}
