/** The trained demonstration model on the digits that training never saw: the same answers as PyTorch's, every one. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { loadSafetensors, Tensor } from '../../lib';
import { readSafetensors } from '../../lib/formats/safetensors';
import type { LayerSpec } from './fixtures';
import { constructAll } from './modules';

const SIDE = 28;
const CLASSES = 10;
const HELD_OUT_PER_CLASS = 200;
const BATCH = 100;

const example = path.join(__dirname, '..', '..', 'examples', 'mnist');
const weights = path.join(example, 'mnist.safetensors');
const pytorch = JSON.parse(readFileSync(path.join(example, 'pytorch-predictions.json'), 'utf8')) as {
  correct: number;
  smallestLogitMargin: number;
  predictions: number[];
};

/** The last digits of each class, class by class. */
function heldOutDigits(): Float32Array {
  const folder = path.dirname(require.resolve('mnist/package.json'));
  const parts = Array.from({ length: CLASSES }, (_, digit) => {
    const file = path.join(folder, 'src', 'digits', `${digit}.json`);
    const { data } = JSON.parse(readFileSync(file, 'utf8')) as { data: number[] };
    return data.slice(-HELD_OUT_PER_CLASS * SIDE * SIDE);
  });
  return Float32Array.from(parts.flat());
}

function argmax(row: Float32Array): number {
  return row.indexOf(row.reduce((a, b) => Math.max(a, b)));
}

test('PyTorch leaves no prediction to rounding', () => {
  expect(pytorch.smallestLogitMargin).toBeGreaterThan(1e-3);
  expect(pytorch.correct).toBeGreaterThanOrEqual(0.985 * CLASSES * HELD_OUT_PER_CLASS);
});

test('every held-out digit is classified as PyTorch classifies it', async () => {
  const { metadata } = await readSafetensors(weights);
  const { architecture } = JSON.parse(metadata.model ?? '{}') as { architecture: LayerSpec[] };
  const model = constructAll(architecture).to('cpu');
  model.loadStateDict(await loadSafetensors(weights));
  const pixels = heldOutDigits();
  const predictions: number[] = [];
  for (let start = 0; start < pixels.length; start += BATCH * SIDE * SIDE) {
    const part = pixels.subarray(start, start + BATCH * SIDE * SIDE);
    const logits = (await model.forward(Tensor.from(part, [BATCH, 1, SIDE, SIDE]))) as Tensor;
    for (let i = 0; i < BATCH; i++)
      predictions.push(argmax(logits.data.subarray(i * CLASSES, (i + 1) * CLASSES)));
  }
  expect(predictions).toEqual(pytorch.predictions);
});
