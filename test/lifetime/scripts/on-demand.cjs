// Everything that must work without libtorch: where it is missing, and without loading it where it is installed.
const { mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const tl = require('../../../dist');

const { Flatten, GELU, LayerNorm, Linear, manualSeed, MaxPool2d, runtime, Sequential, Tensor, TokenLearner } =
  tl;

/** The code of the error that `make` throws, and the first sentence of its message. */
function failure(make) {
  try {
    make();
    return null;
  } catch ({ code, message }) {
    return { code, sentence: message.split('. ')[0] };
  }
}

const close = (a, b, bound) => a.data.every((value, i) => Math.abs(value - b.data[i]) <= bound);

async function models() {
  manualSeed(0);
  const model = new TokenLearner({ dim: 64 });
  const x = Tensor.randn([1, 64, 32, 32]);
  const tokens = await model.forward(x);
  const { attention } = await model.forward(x, { returnAttention: true, layout: 'tokens-first' });
  const video = new TokenLearner({ dim: 128, ffMult: 4, numOutputTokens: 16 });
  const batch = await video.forward(Tensor.randn([2, 128, 16, 16]));
  const deep = await Promise.all(
    [1, 3, 4].map((numLayers) => new TokenLearner({ dim: 8, numLayers }).forward(Tensor.randn([2, 8, 5, 7]))),
  );
  const head = new Sequential(model, new Flatten());
  return {
    shapes: [tokens, attention, batch, await head.forward(x), ...deep].map(({ shape }) => shape),
    device: model.device,
  };
}

async function dtypes() {
  const model = new TokenLearner({ dim: 6, numOutputTokens: 3 });
  const x = Tensor.randn([2, 1, 2, 5, 4, 6]).permute([0, 1, 2, 5, 3, 4]); // 6-dimensional, channels last
  const expected = model.forwardSync(x);
  const same = [close(model.forwardSync(x.contiguous()), expected, 0)];
  for (const [dtype, bound] of [
    ['float64', 1e-6],
    ['float16', 2e-3],
    ['bfloat16', 2e-2],
  ]) {
    const output = await model.to(dtype).forward(x.to(dtype));
    same.push(output.dtype === dtype && close(output.to('float32'), expected, bound));
  }
  return same;
}

async function files() {
  const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-on-demand-'));
  try {
    const model = new TokenLearner({ dim: 4, dtype: 'bfloat16' });
    const file = path.join(folder, 'weights.safetensors');
    await tl.saveSafetensors(file, model.stateDict());
    const again = TokenLearner.fromStateDict(await tl.loadWeights(file));
    const strided = Tensor.randn([3, 4]).permute([1, 0]);
    await tl.saveNpy(path.join(folder, 'strided.npy'), strided);
    const loaded = await tl.loadNpy(path.join(folder, 'strided.npy'));
    const x = Tensor.randn([1, 4, 3, 3]).to('bfloat16');
    return [
      close(again.forwardSync(x).to('float32'), model.forwardSync(x).to('float32'), 0),
      close(loaded.contiguous(), strided.contiguous(), 0),
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function main() {
  const results = { models: await models(), dtypes: await dtypes(), files: await files() };
  const info = runtime.info();
  const isMapped = readFileSync('/proc/self/maps', 'utf8').includes('libtorch');
  const failures = {
    linear: failure(() => new Linear(1, 1)),
    gelu: failure(() => new GELU()),
    norm: failure(() => new LayerNorm(3)),
    pool: failure(() => new MaxPool2d(2)),
    engine: failure(() => new TokenLearner({ dim: 4, engine: 'grouped-conv' })),
  };
  const { state } = info.libtorch;
  const { device, ...rest } = results.models;
  console.log(
    JSON.stringify({
      ...results,
      models: rest,
      device,
      isMapped,
      state,
      problem: info.problem?.code ?? null,
      failures,
    }),
  );
}

void main();
