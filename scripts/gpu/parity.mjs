/**
 * Parity on the GPU: every engine and precision against float64 on the CPU. The bar is twice the error of the documented
 * computation on libtorch (which is PyTorch's own) at the same dtype, on the same device and input; in float32 at least
 * 2.5e-7 and never above 2e-6.
 */
import { manualSeed, Tensor, TokenLearner } from '../../dist/index.mjs';

const FLOOR = 2.5e-7;
const CEILING = 2e-6;

// Odd sizes: no tile fits them. [leading, C, H, W, ffMult, G]
const SIZES = [];
for (const [height, width] of [
  [1, 1],
  [1, 7],
  [3, 43],
  [27, 42],
]) {
  for (const dim of [1, 3, 24, 129]) {
    for (const tokens of [1, 5, 16]) SIZES.push({ leading: [2], dim, height, width, ffMult: 2, tokens });
  }
}
SIZES.push(
  { leading: [], dim: 64, height: 14, width: 14, ffMult: 1, tokens: 8 },
  { leading: [2, 3], dim: 96, height: 9, width: 9, ffMult: 3, tokens: 8 },
  { leading: [2, 1, 3], dim: 64, height: 7, width: 7, ffMult: 4, tokens: 8 },
  { leading: [0], dim: 24, height: 5, width: 5, ffMult: 2, tokens: 4 },
  { leading: [1], dim: 768, height: 14, width: 14, ffMult: 2, tokens: 16 },
  { leading: [3], dim: 512, height: 9, width: 9, ffMult: 2, tokens: 8 },
);

const MODES = [
  { name: 'float32', dtype: 'float32', allowTf32: false },
  { name: 'tf32', dtype: 'float32', allowTf32: true },
  { name: 'bfloat16', dtype: 'bfloat16', allowTf32: false },
  { name: 'float16', dtype: 'float16', allowTf32: false },
];

function relativeError(actual, exact) {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < exact.length; i++) {
    difference += (actual[i] - exact[i]) ** 2;
    norm += exact[i] ** 2;
  }
  return norm === 0 ? Math.sqrt(difference) : Math.sqrt(difference / norm);
}

const numbers = (tensor) => tensor.to('cpu').to('float64').data;

/** The same weights and input for every engine, rounded to the mode's dtype before anybody computes. */
function makeCase(size, dtype) {
  const x = Tensor.randn([...size.leading, size.dim, size.height, size.width]).to(dtype);
  const model = new TokenLearner({
    dim: size.dim,
    ffMult: size.ffMult,
    numOutputTokens: size.tokens,
    device: 'cpu',
    dtype,
  });
  return { x, weights: model.stateDict() };
}

async function tokensOf(weights, x, options) {
  const model = TokenLearner.fromStateDict(weights, options);
  const { tokens, attention } = await model.forward(x, { returnAttention: true });
  model.dispose();
  return { tokens: numbers(tokens), attention: numbers(attention) };
}

async function checkSize(size, mode, check) {
  const { x, weights } = makeCase(size, mode.dtype);
  const wide = Object.fromEntries(
    Object.entries(weights).map(([name, tensor]) => [name, tensor.to('float64')]),
  );
  const exact = await tokensOf(wide, x.to('float64'), { device: 'cpu', engine: 'grouped-conv' });
  const cuda = { device: 'cuda', allowTf32: mode.allowTf32 };
  const literal = await tokensOf(weights, x, { ...cuda, engine: 'grouped-conv' });
  const fused = await tokensOf(weights, x, { ...cuda, engine: 'fused' });
  const label = `${mode.name} (${[...size.leading, size.dim, size.height, size.width]}) ff ${size.ffMult} G ${size.tokens}`;
  let worst = 0;
  for (const part of ['tokens', 'attention']) {
    const theirs = relativeError(literal[part], exact[part]);
    const ours = relativeError(fused[part], exact[part]);
    const floor = mode.name === 'float32' ? FLOOR : 0;
    const bound = mode.name === 'float32' ? Math.min(Math.max(2 * theirs, floor), CEILING) : 2 * theirs;
    worst = Math.max(worst, bound === 0 ? 0 : ours / bound);
    check(`${label} ${part}`, ours <= bound, `${ours.toExponential(2)}, allowed ${bound.toExponential(2)}`);
  }
  return { label, worst };
}

/** A request in a batch, a strided view and a GPU tensor give the bits that the plain request gives. */
async function checkInvariance(check) {
  const model = new TokenLearner({ dim: 96, device: 'cuda' });
  const batch = Tensor.randn([5, 96, 11, 13]);
  const alone = Tensor.from(batch.data.slice(2 * 96 * 143, 3 * 96 * 143), [1, 96, 11, 13]);
  const together = (await model.forward(batch)).data.slice(2 * 96 * 8, 3 * 96 * 8);
  const single = await model.forward(alone);
  check(
    'batch-invariant bits',
    Buffer.compare(Buffer.from(together.buffer), Buffer.from(single.data.slice().buffer)) === 0,
  );
  const nhwc = batch.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
  const plain = (await model.forward(batch)).data;
  check(
    'NHWC view, same bits',
    (await model.forward(nhwc)).data.every((value, i) => value === plain[i]),
  );
  const resident = await model.forward(batch.to('cuda'));
  check('GPU tensor in, GPU tensor out', resident.device === 'cuda:0');
  check(
    'same bits from a GPU tensor',
    resident.to('cpu').data.every((value, i) => value === plain[i]),
  );
  const transposed = await model.forward(batch, { layout: 'tokens-first' });
  check('tokens-first', transposed.shape.join() === '5,8,96' && transposed.data[1] === plain[8]);
}

export async function runParity(check) {
  manualSeed(0);
  const results = [];
  for (const mode of MODES) for (const size of SIZES) results.push(await checkSize(size, mode, check));
  await checkInvariance(check);
  return results;
}
