/**
 * A smoke test of the packed package in a project without libtorch, for platforms that jest does not run on. scripts/smoke.mjs bundles
 * it, with the package itself left out, and runs it in a host for the platform:
 *
 *     node smoke.cjs ISA FILE
 *
 * ISA is the instruction set to expect, FILE the name of the binary. Prints a line for each check. The exit code is 1 if one fails.
 */
import assert from 'node:assert/strict';
import { type FloatDType, Linear, manualSeed, runtime, Tensor } from '../../lib';
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

const [isa = 'none', binary = 'none'] = process.argv.slice(2);
const isMusl = binary.includes('.musl.');

function checkInfo(): void {
  const { addon, cpu, platform, libtorch, problem } = runtime.info();
  assert(addon?.path.endsWith(`prebuilds/${platform}/${binary}`), addon?.path ?? problem?.message);
  assert.equal(cpu?.isa, isa);
  assert.equal(libtorch.state, 'missing');
}

/**
 * The first numbers of torch.randn after torch.manual_seed, which are stored. PyTorch computed them with glibc. musl's functions round some
 * in the other direction, which float64 shows in the last bits.
 */
function checkRandom(): void {
  const { randn } = readJson('seeds/seeds.json') as {
    randn: { seed: string; dtype: FloatDType; size: number; values: number[][] }[];
  };
  const small = randn.filter(({ size }) => size < 16);
  assert(small.length > 0);
  for (const { seed, dtype, size, values } of small) {
    manualSeed(BigInt(seed));
    const ulps = isMusl && dtype === 'float64' ? 2 : 0;
    for (const each of values) {
      const got = numbers(Tensor.randn([size], { dtype }));
      assert.equal(got.length, each.length);
      each.forEach((value, i) => {
        const error = Math.abs((got[i] ?? NaN) - value);
        assert(
          error <= ulps * Number.EPSILON * Math.abs(value),
          `element ${i} of ${dtype}: ${got[i]}, not ${value}`,
        );
      });
    }
  }
}

function checkMissingLibtorch(): void {
  const error = { code: 'ERR_LIBTORCH_NOT_FOUND', message: isMusl ? /musl/ : /Linear/ };
  assert.throws(() => new Linear(2, 2, { device: 'cpu' }), error);
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
  await check('runtime.info()', checkInfo);
  await check('random numbers', checkRandom);
  await check('a Linear without libtorch', checkMissingLibtorch);
  assert(cases.length > 40);
  for (const item of cases) await check(`tokens of ${item.name}`, () => checkTokens(item));
  process.exitCode = failed > 0 ? 1 : 0;
}

void main();
