/**
 * Parity on the GPU: every engine and precision against float64 on the CPU. The bound is twice the error of the documented
 * computation on libtorch, which is PyTorch's own error, with the same dtype, device and input. If the mode's floor is larger,
 * the bound is the floor. In float32 it is never above 2e-6.
 */
import { manualSeed, Tensor, TokenLearner } from '../../dist/index.mjs';
import { attempt } from './attempt.mjs';
import { runBatching } from './batching.mjs';
import { runFamilyParity } from './family.mjs';
import { numbers, relativeError, sameBits } from './numbers.mjs';
import { runTensors } from './tensors.mjs';

const CEILING = 2e-6;

/** The error of a few numbers is a matter of luck. The tokens and the maps have at least this many each. */
const LEAST_NUMBERS = 64;

/** The number of images for which `dim * tokens` tokens and `tokens * pixels` maps an image are enough numbers. */
export function imagesFor(dim, tokens, pixels) {
  return Math.max(2, Math.ceil(LEAST_NUMBERS / (tokens * Math.min(dim, pixels))));
}

// Odd sizes, which no tile divides. [leading, C, H, W, ffMult, G]
const SIZES = [];
for (const [height, width] of [
  [1, 1],
  [1, 7],
  [3, 43],
  [27, 42],
]) {
  for (const dim of [1, 3, 24, 129]) {
    for (const tokens of [1, 5, 16]) {
      const leading = [imagesFor(dim, tokens, height * width)];
      SIZES.push({ leading, dim, height, width, ffMult: 2, tokens });
    }
  }
}
SIZES.push(
  { leading: [], dim: 64, height: 14, width: 14, ffMult: 1, tokens: 8 },
  { leading: [2, 3], dim: 96, height: 9, width: 9, ffMult: 3, tokens: 8 },
  { leading: [2, 1, 3], dim: 64, height: 7, width: 7, ffMult: 4, tokens: 8 },
  { leading: [0], dim: 24, height: 5, width: 5, ffMult: 2, tokens: 4 },
  { leading: [1], dim: 768, height: 14, width: 14, ffMult: 2, tokens: 16 },
  { leading: [3], dim: 512, height: 9, width: 9, ffMult: 2, tokens: 8 },
  // Whole large tiles without splits, and several passes.
  { leading: [8], dim: 768, height: 14, width: 14, ffMult: 2, tokens: 16 },
  { leading: [1500], dim: 128, height: 9, width: 9, ffMult: 1, tokens: 4 },
);

// The floor of a 16-bit mode is one rounding of the result. The floor of tf32 is one rounding of each operand, since libtorch's
// own error is sometimes float32's: for one channel cuDNN chooses a depthwise kernel without TF32.
const MODES = [
  { name: 'float32', dtype: 'float32', allowTf32: false, floor: 2.5e-7 },
  { name: 'tf32', dtype: 'float32', allowTf32: true, floor: 1e-3 },
  { name: 'bfloat16', dtype: 'bfloat16', allowTf32: false, floor: 2 ** -8 },
  { name: 'float16', dtype: 'float16', allowTf32: false, floor: 2 ** -11 },
];

/** Creates the weights and the input for all engines, rounded to the mode's dtype before any computation. */
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

async function checkSize(size, mode, device, check) {
  const { x, weights } = makeCase(size, mode.dtype);
  const wide = Object.fromEntries(
    Object.entries(weights).map(([name, tensor]) => [name, tensor.to('float64')]),
  );
  const exact = await tokensOf(wide, x.to('float64'), { device: 'cpu', engine: 'grouped-conv' });
  const options = { device, allowTf32: mode.allowTf32 };
  const literal = await tokensOf(weights, x, { ...options, engine: 'grouped-conv' });
  const fused = await tokensOf(weights, x, { ...options, engine: 'fused' });
  const label = `${mode.name} (${[...size.leading, size.dim, size.height, size.width]}) ff ${size.ffMult} G ${size.tokens}`;
  let worst = 0;
  for (const part of ['tokens', 'attention']) {
    const theirs = relativeError(literal[part], exact[part]);
    const ours = relativeError(fused[part], exact[part]);
    const allowed = Math.max(2 * theirs, mode.floor);
    const bound = mode.name === 'float32' ? Math.min(allowed, CEILING) : allowed;
    worst = Math.max(worst, bound === 0 ? 0 : ours / bound);
    check(`${label} ${part}`, ours <= bound, `${ours.toExponential(2)}, allowed ${bound.toExponential(2)}`);
  }
  return { label, worst };
}

/** Checks that a request in a batch gives the same bits as alone. */
async function checkBatch(check, device, [batch, dim, height, width]) {
  const model = new TokenLearner({ dim, device });
  const x = Tensor.randn([batch, dim, height, width]);
  const each = dim * height * width;
  const at = batch >> 1;
  const alone = Tensor.from(x.data.slice(at * each, (at + 1) * each), [1, dim, height, width]);
  const together = (await model.forward(x)).data.slice(at * dim * 8, (at + 1) * dim * 8);
  check(`batch-invariant bits (${x.shape})`, sameBits(together, (await model.forward(alone)).data));
  check(
    `forwardSync has the bits of forward (${x.shape})`,
    sameBits(model.forwardSync(alone).data, together),
  );
}

/** Checks the same input as views, in other layouts and on other devices. */
async function checkInputs(check, device) {
  const model = new TokenLearner({ dim: 96, device });
  const x = Tensor.randn([5, 96, 11, 13]);
  const plain = (await model.forward(x)).data;
  const nhwc = x.permute([0, 2, 3, 1]).contiguous();
  check('NHWC view', sameBits((await model.forward(nhwc.permute([0, 3, 1, 2]))).data, plain));
  const there = x.to(device);
  const resident = await model.forward(there);
  check('GPU tensor in, GPU tensor out', resident.device === there.device);
  check('same bits from a GPU tensor', sameBits(resident.to('cpu').data, plain));
  // Channels-last memory on the GPU has its own kernels, which sum in another order.
  const strided = await model.forward(nhwc.to(device).permute([0, 3, 1, 2]));
  const error = relativeError(strided.to('cpu').data, plain);
  check('channels-last on the GPU', error <= CEILING, error.toExponential(2));
  if (device !== 'cpu') {
    const pinned = Tensor.empty(x.shape, { pinned: true });
    pinned.data.set(x.data);
    check('same bits from pinned memory', sameBits((await model.forward(pinned)).data, plain));
  }
  const transposed = await model.forward(x, { layout: 'tokens-first' });
  check('tokens-first', transposed.shape.join() === '5,8,96' && transposed.data[1] === plain[8]);
}

const BATCHES = [
  [5, 96, 11, 13],
  [48, 512, 9, 9],
  [32, 768, 14, 14],
];

/** `save` receives the results of all sizes so far. */
export async function runParity(check, { device, seed, save }) {
  manualSeed(seed);
  const results = [];
  for (const mode of MODES) {
    for (const size of SIZES) {
      await attempt(check, `${mode.name} ${JSON.stringify(size)}`, async () => {
        results.push(await checkSize(size, mode, device, check));
      });
      save(results);
    }
  }
  await runFamilyParity(check, { device, modes: MODES });
  for (const batch of BATCHES)
    await attempt(check, `batch (${batch})`, () => checkBatch(check, device, batch));
  await attempt(check, 'inputs', () => checkInputs(check, device));
  await runTensors(check, { device });
  await runBatching(check, { device, modes: MODES });
}
