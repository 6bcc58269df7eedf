// The model of the gallery: a small convolutional backbone, and a TokenLearner that was trained to paint the photographs of this folder again from eight
// tokens. test/fixtures/generate/train_photos.py builds and trains the same model in PyTorch.
import { readFile } from 'node:fs/promises';

const FOLDER = new URL('./', import.meta.url);
const CHANNELS = 32;

/** Builds the backbone and the TokenLearner, with their trained weights. */
export async function buildModel({ Conv2d, loadWeights, ReLU, Sequential, TokenLearner }) {
  const backbone = new Sequential(
    new Conv2d(3, 24, 5, { padding: 2, stride: 2 }),
    new ReLU(),
    new Conv2d(24, CHANNELS, 3, { padding: 1, stride: 2 }),
    new ReLU(),
    new Conv2d(CHANNELS, CHANNELS, 3, { padding: 2, dilation: 2 }),
    new ReLU(),
    new Conv2d(CHANNELS, CHANNELS, 3, { padding: 4, dilation: 4 }),
    new ReLU(),
  );
  const tokenLearner = new TokenLearner({ dim: CHANNELS, numOutputTokens: 8 });
  const trained = new Sequential(...backbone, tokenLearner);
  trained.loadStateDict(await loadWeights(new URL('photos.safetensors', FOLDER)));
  return { backbone, tokenLearner };
}

/** A photograph of this folder. */
export function photo(name) {
  return new URL(`${name}.jpg`, FOLDER);
}

/** The rows of Muybridge's plate: the top of each, in pixels. */
const ROWS = [14, 138, 262, 391];
const FRAME = { left: 10, width: 168, height: 108, columns: 6 };

/** The 24 frames of Muybridge's plate "Cat; trotting; change to galloping" (1887), as decoded pictures. */
export async function catFrames(sharp) {
  const plate = await readFile(photo('muybridge-cat'));
  const { left, width, height, columns } = FRAME;
  const places = ROWS.flatMap((top) =>
    Array.from({ length: columns }, (_, i) => ({ top, left: left + i * width })),
  );
  return Promise.all(
    places.map((place) =>
      sharp(plate)
        .extract({ ...place, width, height })
        .raw()
        .toBuffer({ resolveWithObject: true }),
    ),
  );
}
