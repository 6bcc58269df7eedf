/**
 * A backbone that was trained in PyTorch, this package's TokenLearner and a head, as one model. Make the backbone first:
 *
 *     npx tokenlearner export-script > export.py
 *     python export.py timm:vit_small_patch16_224 --features --pretrained backbone.pt2    (without timm: plain-vit)
 */
import sharp from 'sharp';
import { AotiModel, Flatten, Linear, presets, Sequential, Tensor, TokenLearner } from 'tokenlearner';

const TOKENS = 8;
const CLASSES = 10;

/** Classifies a picture. Returns the shape of the result. */
export async function main(file = 'backbone.pt2', picture = 'photo.jpg'): Promise<readonly number[]> {
  // A package is machine code: load only what you, or people whom you trust, have made.
  const backbone = await AotiModel.load(file, { trusted: true });
  // It takes (batch, 3, height, width), and gives a feature map (batch, channels, rows, columns).
  const size = Number(backbone.inputs[0]?.shape[2]);
  const channels = Number(backbone.outputs[0]?.shape?.[1]);

  // Each forward is one request: the features stay in native memory.
  const model = new Sequential(
    backbone,
    new TokenLearner({ dim: channels, numOutputTokens: TOKENS }),
    new Flatten(),
    new Linear(channels * TOKENS, CLASSES),
  );
  // Trained weights: model.loadStateDict(await loadWeights('weights.safetensors'), { strict: false });

  const photo = await sharp(picture).rotate().raw().toBuffer({ resolveWithObject: true });
  const x = await Tensor.fromImage(photo, { resize: size, crop: size, ...presets.imagenet });
  const classes = await model.forward(x);
  console.log(classes.shape); // [1, 10]
  return classes.shape;
}
