/**
 * `npm run demo`: classifies 2,000 real handwritten digits that training never saw, compares every prediction with PyTorch's,
 * and draws what each token attends to.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setup } from './setup.mjs';
import { main, root, say } from './tools.mjs';

const BATCH = 100;
const SHOWN = 6;
const EXAMPLE = path.join(root, 'examples', 'mnist');
const OUTPUT = path.join(root, 'demo-output');

/** The index of the largest of each row of `columns` numbers. */
function argmax(logits, columns) {
  const best = [];
  for (let row = 0; row < logits.length; row += columns) {
    const scores = logits.subarray(row, row + columns);
    best.push(scores.indexOf(Math.max(...scores)));
  }
  return best;
}

/** Predictions for all digits: every batch is submitted at once, and the event loop stays free. */
async function classify({ Tensor }, model, pixels, side) {
  const size = side * side;
  const batches = [];
  for (let i = 0; i < pixels.length; i += BATCH * size) {
    const part = pixels.subarray(i, i + BATCH * size);
    batches.push(model.forward(Tensor.from(part, [part.length / size, 1, side, side])));
  }
  return (await Promise.all(batches)).flatMap((logits) => argmax(logits.data, logits.shape[1]));
}

/** One digit of each of a few classes, with the attention maps of its tokens. */
async function attentionRows({ Tensor }, { backbone, tokenLearner }, { pixels, predictions, labels }, sides) {
  const size = sides.image ** 2;
  const rows = [];
  for (let r = 0; r < SHOWN; r++) {
    const digit = Math.round((r * 9) / (SHOWN - 1));
    const index = labels.indexOf(digit) + 3 + r;
    const image = pixels.subarray(index * size, (index + 1) * size);
    const features = await backbone.forward(Tensor.from(image, [1, 1, sides.image, sides.image]));
    const { attention } = await tokenLearner.forward(features, { returnAttention: true });
    const maps = Array.from({ length: attention.shape[1] }, (_, g) =>
      attention.data.subarray(g * sides.map ** 2, (g + 1) * sides.map ** 2),
    );
    rows.push({ image, side: sides.image, predicted: predictions[index], maps, mapSide: sides.map });
  }
  return rows;
}

await main(async () => {
  await setup();
  const library = await import('../dist/index.mjs');
  const { buildModel, loadHeldOutDigits, MAP_SIDE, SIDE } = await import('../examples/mnist/model.mjs');
  const { writeSheet } = await import('./demo/sheet.mjs');

  const parts = buildModel(library);
  parts.model.loadStateDict(await library.loadSafetensors(path.join(EXAMPLE, 'mnist.safetensors')));
  const { pixels, labels } = loadHeldOutDigits();
  const expected = JSON.parse(
    readFileSync(path.join(EXAMPLE, 'pytorch-predictions.json'), 'utf8'),
  ).predictions;

  await classify(library, parts.model, pixels.subarray(0, BATCH * SIDE * SIDE), SIDE); // warm-up
  const started = performance.now();
  const predictions = await classify(library, parts.model, pixels, SIDE);
  const seconds = (performance.now() - started) / 1000;
  const correct = predictions.filter((prediction, i) => prediction === labels[i]).length;
  const same = predictions.filter((prediction, i) => prediction === expected[i]).length;

  mkdirSync(OUTPUT, { recursive: true });
  const sheet = path.join(OUTPUT, 'attention.png');
  const rows = await attentionRows(
    library,
    parts,
    { pixels, predictions, labels },
    { image: SIDE, map: MAP_SIDE },
  );
  writeSheet(sheet, rows);

  const total = labels.length;
  say('');
  console.log(`model        Conv2d backbone -> TokenLearner (8 tokens) -> Linear, on ${parts.model.device}`);
  console.log(`digits       ${total} handwritten ones that training never saw`);
  console.log(`accuracy     ${((100 * correct) / total).toFixed(2)} % (${correct} of ${total})`);
  console.log(`as PyTorch   ${same} of ${total} predictions`);
  console.log(`throughput   ${Math.round(total / seconds)} digits a second`);
  console.log(`picture      ${sheet}`);
  if (same !== total) throw new Error(`${total - same} predictions differ from PyTorch's`);
});
