/** A picture becomes a model's input, and the model's input becomes a picture again: `node examples/pictures.mjs`. */
import { Conv2d, presets, Sequential, Tensor, TokenLearner } from 'tokenlearner';

/** A decoded picture, as a decoder or a canvas gives it: here a gradient of 320 x 240 pixels, RGB and alpha. */
function gradient(width, height) {
  const data = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      data.set([(255 * x) / width, (255 * y) / height, 128, 255], 4 * (y * width + x));
  return { data, width, height };
}

const x = await Tensor.fromImage(gradient(320, 240), { resize: 256, crop: 224, ...presets.imagenet });
console.log(x.shape); // [ 1, 3, 224, 224 ]

const model = new Sequential(new Conv2d(3, 64, 16, { stride: 16 }), new TokenLearner({ dim: 64 }));
const tokens = await model.forward(x);
console.log(tokens.shape); // [ 1, 64, 8 ]

const { width, height, channels, data } = x.toImage(presets.imagenet);
console.log(width, height, channels, data.length); // 224 224 3 150528
