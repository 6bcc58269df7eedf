/**
 * A smoke test of the packed package in a project without libtorch, for processors that jest's own programs do not exist for.
 * scripts/arm64.mjs bundles it, with the package itself left out, and runs it in an emulated Node:
 *
 *     node smoke.cjs ISA
 *
 * ISA is the instruction set to expect. Prints a line for each check. The exit code is 1 if one fails.
 */
import assert from 'node:assert/strict';
import { Linear, manualSeed, runtime, Tensor } from '../../lib';
import { build, type Case, cases } from '../parity/cases';
import { loadTensors, numbers, readJson } from '../parity/fixtures';
import { allowedError, relativeL2Error } from '../parity/tolerance';

async function checkTokens(item: Case): Promise<void> {
  const { model, x } = build('fused', item);
  const tokens = await model.forward(x);
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
  assert(cases.length > 40);
  for (const item of cases) await check(`tokens of ${item.name}`, () => checkTokens(item));
  process.exitCode = failed > 0 ? 1 : 0;
}

void main();
