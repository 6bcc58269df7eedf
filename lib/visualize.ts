/** Pictures of attention maps. The code is read at the first use. */
import { once } from './once';
import type { AnyTensor } from './tensor/tensor';
import type { AttentionModel, PictureSource, VisualizeOptions } from './visualize/options';
import type { Visualization } from './visualize/render';

export type { Colormap } from './visualize/colormap';
export type {
  AttentionModel,
  BackboneModel,
  PictureSource,
  VisualizeFormat,
  VisualizeOptions,
} from './visualize/options';
export type { Visualization } from './visualize/render';

// eslint-disable-next-line @typescript-eslint/no-require-imports -- read at the first use
const render = once(() => require('./visualize/render') as typeof import('./visualize/render'));

/**
 * Draws where each token looks: the picture, and for each token its attention map as a heat map over the picture, with a colour bar. Several pictures
 * make rows of a sheet, or an animation. Files are decoded and encoded by the package sharp (`npm install sharp`), which an application adds itself.
 *
 * @param model - a module whose `forward` gives `{ attention }`, of shape (..., G, H, W), for `returnAttention`: a TokenLearner, or one of your own.
 * @param input - a picture, an array of pictures, or a tensor. Pictures go through `backbone`, if there is one, and then to the model. A tensor of
 * features is (C, H, W), or (N, C, H, W) with N pictures or frames, or has more dimensions in front.
 * @returns the encoded file, with its size.
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE (also for an option that does not apply), ERR_OUT_OF_RANGE (also for maps that
 * are not finite, and results that are too large), ERR_SHAPE_MISMATCH (also for a picture that the model cannot take without a `backbone`),
 * ERR_FILE_IO, ERR_FILE_FORMAT for a file that is no picture, ERR_SHARP_UNAVAILABLE; and the errors of both modules.
 *
 * @example
 * ```ts
 * import { Tensor, TokenLearner, visualize } from 'tokenlearner';
 *
 * const model = new TokenLearner({ dim: 64, numOutputTokens: 4 });
 * const features = Tensor.randn([64, 14, 14]);
 * const sheet = await visualize(model, features, { format: 'png', theme: 'dark' });
 * console.log(sheet.format, sheet.pages); // png 1
 * // await writeFile('sheet.png', sheet.data);
 * ```
 */
export async function visualize(
  model: AttentionModel,
  input: PictureSource | AnyTensor | readonly PictureSource[],
  options?: VisualizeOptions,
): Promise<Visualization> {
  return render().visualize(model, input, options);
}
