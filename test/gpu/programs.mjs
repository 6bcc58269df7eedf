/**
 * Programs of AOTInductor on the GPU: exported and compiled here by python/export.py, they run as AotiModel, alone, in a Sequential and in
 * a Batcher. Their error is compared with that of PyTorch on the same device.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  AotiModel,
  Batcher,
  Flatten,
  Linear,
  loadWeights,
  Sequential,
  Tensor,
  TokenLearner,
} from '../../dist/index.mjs';
import { attempt } from './attempt.mjs';
import { HOLD } from './batching.mjs';
import { numbers, relativeError, sameBits } from './numbers.mjs';

const SCRIPT = fileURLToPath(new URL('programs.py', import.meta.url));
const EXPORT = fileURLToPath(new URL('../../python/export.py', import.meta.url));
const BATCHES = [1, 2, 5];
const DIM = 96;
/** The error below which none is too large: a rounding of the result, or of each operand in float32. */
const FLOORS = { float32: 1e-6, bfloat16: 2 ** -8 };

const execute = promisify(execFile);

/** Exports the program of one dtype, and computes its reference. Returns {file, reference}. */
async function compile(folder, { python, device, dtype }) {
  const file = path.join(folder, `${dtype}.pt2`);
  const results = path.join(folder, `${dtype}.pt`);
  const options = { env: { ...process.env, TORCHINDUCTOR_CACHE_DIR: path.join(folder, 'cache') } };
  const arguments_ = ['--input', 'x:3,64,64', '--device', device, '--dtype', dtype, file];
  await Promise.all([
    execute(python, [EXPORT, `${SCRIPT}:make`, ...arguments_], options),
    execute(python, [SCRIPT, device, dtype, results], options),
  ]);
  return { file, reference: await loadWeights(results) };
}

/** Twice the error of PyTorch itself, or the floor. */
function boundOf(reference, batch, dtype) {
  const [eager, exact] = ['eager', 'exact'].map((key) => numbers(reference[`${batch}.${key}`]));
  return Math.max(2 * relativeError(eager, exact), FLOORS[dtype]);
}

async function checkNumbers(check, name, model, reference, { device, dtype }) {
  for (const batch of BATCHES) {
    const input = reference[`${batch}.input`];
    const bound = boundOf(reference, batch, dtype);
    const output = await model.forward(input);
    const error = relativeError(numbers(output), numbers(reference[`${batch}.exact`]));
    const text = `${error.toExponential(1)}, bound ${bound.toExponential(1)}`;
    check(`${name}, batch ${batch}: close to float64`, error <= bound, text);
    const moved = input.to(device);
    const there = await model.forward(moved);
    check(
      `${name}, batch ${batch}: an input on the device gives the same bits there`,
      there.device === moved.device && sameBits(numbers(there), numbers(output)),
    );
  }
}

/** Several runs of one program at the same time, and a wrong input among them. */
async function checkConcurrency(check, name, model, reference) {
  const input = reference['2.input'];
  const alone = numbers(await model.forward(input));
  const running = Array.from({ length: 16 }, () => model.forward(input));
  const code = await model.forward(Tensor.zeros([2, 3, 64, 63]).to(input.dtype)).then(
    () => 'none',
    (error) => error.code,
  );
  check(`${name}: an input of a wrong size is refused`, code === 'ERR_SHAPE_MISMATCH', code);
  const same = (await Promise.all(running)).filter((output) => sameBits(numbers(output), alone)).length;
  check(`${name}: runs at the same time have the bits of each alone`, same === 16, `${same} of 16`);
}

/** A backbone, a TokenLearner and a head as one request, against the three one after the other. */
async function checkSequential(check, name, model, reference, { device, dtype }) {
  const rest = [
    new TokenLearner({ dim: DIM, device, dtype }),
    new Flatten(),
    new Linear(DIM * 8, 10, { device, dtype }),
  ];
  const input = reference['5.input'];
  let expected = await model.forward(input.to(device));
  for (const module of rest) expected = await module.forward(expected);
  const output = await new Sequential(model, ...rest).forward(input);
  const error = relativeError(numbers(output), numbers(expected));
  check(
    `${name}: a Sequential with a TokenLearner and a head`,
    error <= FLOORS[dtype],
    error.toExponential(1),
  );
}

/** Requests that share runs. */
async function checkBatcher(check, name, model, reference, { dtype }) {
  const batcher = new Batcher(model, { maxBatchSize: 64 });
  const inputs = Array.from({ length: 16 }, (_, i) => reference[`${BATCHES[i % BATCHES.length]}.input`]);
  let worst = 0;
  for (let round = 0; round < 3; round++) {
    batcher[HOLD](inputs.length);
    const outputs = await Promise.all(inputs.map((input) => batcher.forward(input)));
    outputs.forEach((output, i) => {
      const exact = numbers(reference[`${BATCHES[i % BATCHES.length]}.exact`]);
      worst = Math.max(worst, relativeError(numbers(output), exact));
    });
  }
  const { batches, succeeded } = batcher.stats();
  await batcher.close();
  const bound = Math.max(...BATCHES.map((batch) => boundOf(reference, batch, dtype)));
  const text = `${worst.toExponential(1)}, bound ${bound.toExponential(1)}; ${succeeded} requests in ${batches} batches`;
  check(`${name}: requests that share runs`, worst <= bound && batches < succeeded, text);
}

/** Replaced weights reach the device: a last layer of zeros gives zeros. */
async function checkWeights(check, name, model, reference) {
  const { dtype } = reference['1.input'];
  const zeros = () => Tensor.zeros([DIM]).to(dtype);
  model.loadStateDict({ 'norm.weight': zeros(), 'norm.bias': zeros() }, { strict: false });
  const output = await model.forward(reference['1.input']);
  check(
    `${name}: replaced weights`,
    numbers(output).every((value) => value === 0),
  );
}

async function checkProgram(check, folder, options) {
  const name = `a program in ${options.dtype}`;
  const { file, reference } = await compile(folder, options);
  const model = await AotiModel.load(file, { trusted: true, device: options.device, instances: 2 });
  for (const part of [checkNumbers, checkConcurrency, checkSequential, checkBatcher, checkWeights])
    await attempt(check, `${name}: ${part.name}`, () => part(check, name, model, reference, options));
  model.dispose();
}

export async function runPrograms(check, { device, python }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'gpu-programs-'));
  try {
    for (const dtype of Object.keys(FLOORS))
      await attempt(check, `a program in ${dtype}`, () =>
        checkProgram(check, folder, { device, python, dtype }),
      );
  } finally {
    rmSync(folder, { recursive: true });
  }
}
