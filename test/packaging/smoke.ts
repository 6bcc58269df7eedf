/**
 * A smoke test of the packed package in a project without libtorch, for processors that jest's own programs do not exist for.
 * scripts/arm64.mjs bundles it, with the package itself left out, and runs it in an emulated Node:
 *
 *     node smoke.cjs ISA
 *
 * ISA is the instruction set to expect. Prints a line for each check. The exit code is 1 if one fails.
 */
import assert from 'node:assert/strict';
import { Linear, manualSeed, runtime, Tensor, TokenLearner, type AnyTensor } from '../../lib';
import { loadTensors, makeTensors, numbers, readJson, type MadeTensor } from '../parity/fixtures';
import { allowedError, relativeL2Error } from '../parity/tolerance';

interface Case {
  name: string;
  dtype: 'float32' | 'float64' | 'float16' | 'bfloat16';
  dim: number;
  ffMult: number;
  numOutputTokens: number;
  numLayers: number;
  seed: number;
  channelsLast: boolean;
  special: { index: number; value: string }[];
  tensors: MadeTensor[];
}

function moveChannelsFirst(x: AnyTensor): AnyTensor {
  const axes = x.shape.map((_, axis) => axis);
  return x.permute([...axes.slice(0, -3), x.ndim - 1, x.ndim - 3, x.ndim - 2]);
}

/** The tokens of a case, by the fused engine. */
async function tokensOf(item: Case): Promise<AnyTensor> {
  const { dim, ffMult, numOutputTokens, numLayers, dtype } = item;
  const { input, ...parameters } = makeTensors(item.seed, item.tensors, dtype);
  assert(input !== undefined);
  for (const { index, value } of item.special) input.data[index] = Number(value);
  const options = { dim, ffMult, numOutputTokens, numLayers, dtype, engine: 'fused', device: 'cpu' } as const;
  const model = new TokenLearner(options);
  model.loadStateDict(parameters);
  return model.forward((item.channelsLast ? moveChannelsFirst(input) : input).to(dtype));
}

async function checkTokens(item: Case): Promise<void> {
  const tokens = await tokensOf(item);
  const stored = await loadTensors(`parity/${item.name}.safetensors`, 'tokens', 'pytorch.tokens');
  const [exact, torch] = stored.map(numbers) as [Float64Array, Float64Array];
  const got = numbers(tokens);
  // Outside the finite numbers the kind must agree: NaN, infinity, minus infinity.
  exact.forEach((value, i) => {
    if (!Number.isFinite(value)) assert.equal(got[i], value, `element ${i}`);
  });
  const error = relativeL2Error(got, exact);
  const allowed = allowedError(item.dtype, relativeL2Error(torch, exact));
  assert(error <= allowed, `error ${error} of ${allowed} allowed`);
}

function checkInfo(isa: string): void {
  const { addon, cpu, platform, libtorch, problem } = runtime.info();
  assert(addon?.path.includes(`prebuilds/${platform}/`), addon?.path ?? problem?.message);
  assert.equal(cpu?.isa, isa);
  assert.equal(libtorch.state, 'missing');
}

/** The first numbers of torch.randn after torch.manual_seed, which are stored. */
function checkRandom(): void {
  const { randn } = readJson('seeds/seeds.json') as {
    randn: { seed: string; dtype: 'float32' | 'float64'; size: number; values: number[][] }[];
  };
  const small = randn.filter(({ size }) => size < 16);
  assert(small.length > 0);
  for (const { seed, dtype, size, values } of small) {
    manualSeed(BigInt(seed));
    for (const each of values) assert.deepEqual([...Tensor.randn([size], { dtype }).data], each);
  }
}

function checkMissingLibtorch(): void {
  assert.throws(() => new Linear(2, 2, { device: 'cpu' }), { code: 'ERR_LIBTORCH_NOT_FOUND' });
}

let failed = 0;

async function check(name: string, test: () => void | Promise<void>): Promise<void> {
  try {
    await test();
    console.log(`pass  ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${name}: ${(error as Error).message}`);
  }
}

async function main(): Promise<void> {
  await check('runtime.info()', () => {
    checkInfo(process.argv[2] ?? 'none');
  });
  await check('random numbers', checkRandom);
  await check('a Linear without libtorch', checkMissingLibtorch);
  const { cases } = readJson('parity/cases.json') as { cases: Case[] };
  assert(cases.length > 40);
  for (const item of cases) await check(`tokens of ${item.name}`, () => checkTokens(item));
  process.exitCode = failed > 0 ? 1 : 0;
}

void main();
