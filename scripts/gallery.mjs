/**
 * `npm run gallery`: draws the pictures of docs/gallery.md with the trained models of examples/photos and examples/mnist.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setup } from './setup.mjs';
import { main, root, say, SetupError } from './tools.mjs';

const OUTPUT = path.join(root, 'docs', 'gallery');
/** The most bytes of a picture, which is part of the repository. */
const MOST_BYTES = 150_000;
/** The first of Muybridge's frames that is shown. */
const GALLOP = 12;

/** Photographs: the model looks at regions of similar colour and texture. */
async function photographs(library) {
  const { default: sharp } = await import('sharp');
  const { buildModel, catFrames, photo } = await import('../examples/photos/model.mjs');
  const { backbone, tokenLearner } = await buildModel(library);
  const input = { backbone, ...library.presets.imagenet };
  const draw = (pictures, options) =>
    library.visualize(tokenLearner, pictures, { ...input, format: 'webp', ...options });
  const three = ['chelsea', 'coffee', 'astronaut'].map(photo);
  // The gallop; the cat trots before.
  const frames = (await catFrames(sharp)).slice(GALLOP);
  return {
    'coffee.webp': await draw(photo('coffee'), {
      resize: 224,
      tileSize: 240,
      title: 'Where eight tokens look',
    }),
    'photographs.webp': await draw(three, {
      ...{
        resize: 224,
        tokens: [0, 3, 4, 5, 6],
        colormap: 'magma',
        theme: 'dark',
        animate: false,
      },
    }),
    'muybridge.webp': await draw(frames, {
      ...{
        resize: 128,
        tokens: [4, 1],
        columns: 3,
        tileSize: 152,
        colormap: 'inferno',
        theme: 'dark',
        fps: 12,
      },
      captions: frames.map((_, i) => `frame ${GALLOP + i + 1}`),
    }),
  };
}

/** Handwritten digits that training never saw, one channel of 28 x 28 pixels. */
async function digits(library) {
  const { buildModel, loadHeldOutDigits, SIDE } = await import('../examples/mnist/model.mjs');
  const { model, backbone, tokenLearner } = buildModel(library);
  model.loadStateDict(
    await library.loadSafetensors(path.join(root, 'examples', 'mnist', 'mnist.safetensors')),
  );
  const { pixels, labels } = loadHeldOutDigits();
  const size = SIDE * SIDE;
  const chosen = [2, 5, 8].map((digit) => labels.indexOf(digit) + 6);
  const pictures = chosen.map((at) => ({
    data: Uint8Array.from(pixels.subarray(at * size, (at + 1) * size), (value) => Math.round(value * 255)),
    width: SIDE,
    height: SIDE,
  }));
  const captions = chosen.map((at) => `a ${labels[at]}`);
  const look = {
    colormap: 'coolwarm',
    opacity: 0.8,
    theme: 'auto',
    tileSize: 128,
    range: 'shared',
    animate: false,
  };
  return {
    'digits.webp': await library.visualize(tokenLearner, pictures, {
      ...{ backbone, grayscale: true, format: 'webp', captions, ...look },
    }),
  };
}

await main(async () => {
  await setup();
  const library = await import('../dist/index.mjs');
  mkdirSync(OUTPUT, { recursive: true });
  for (const [name, { data, width, height }] of Object.entries({
    ...(await photographs(library)),
    ...(await digits(library)),
  })) {
    if (data.length > MOST_BYTES)
      throw new SetupError(`${name} has ${data.length} bytes, more than ${MOST_BYTES}`);
    writeFileSync(path.join(OUTPUT, name), data);
    say(`${name}: ${width} x ${height} pixels, ${data.length} bytes`);
  }
});
