/** Tensors to pictures. */
import { binding } from '../binding';
import { dtypeInfo } from '../dtype';
import { TokenLearnerError } from '../errors';
import type { TensorArg } from '../native-interface';
import { elementCount, formatShape, type Shape } from '../shape';
import { checkInteger, checkOptions } from '../validate';
import {
  checkLayout,
  checkStatistics,
  type ImageLayout,
  normalization,
  type NormalizeOptions,
} from './image-normalization';
import type { View } from './access';
import { typedArrayOf } from './typed-array';

/** Options of {@link Tensor.toImage}. */
export interface ToImageOptions extends NormalizeOptions {
  /** @default 'channels-first' */
  layout?: ImageLayout | undefined;
  /** The position of the picture in a batch. Only a batch of one needs none. */
  index?: number | undefined;
}

/** A picture that {@link Tensor.toImage} made. */
export interface PixelImage {
  /** width * height * channels bytes: rows from the top, without gaps; for each pixel its channels. */
  data: Uint8ClampedArray;
  /** In pixels. */
  width: number;
  /** In pixels. */
  height: number;
  /** 1 is grey, 3 is RGB. */
  channels: 1 | 3;
}

const Clamped = Uint8ClampedArray;

/** Converts a tensor to a picture, for `tensor.toImage`. */
export function toImage(view: View, options: unknown): PixelImage {
  const { mean, std, layout, index } = checkOptions('options', options, ['mean', 'std', 'layout', 'index']);
  const statistics = checkStatistics(mean, std);
  const source = pictureOf(view, checkLayout(layout), index);
  const [channels = 0, height = 0, width = 0] = source.shape;
  const target = new Clamped(typedArrayOf(elementCount(source.shape), 'uint8').buffer);
  binding().tensorToImage(source, normalization(statistics, channels), target);
  return { data: target, width, height, channels: channels as 1 | 3 };
}

/** One picture of a tensor as (channels, height, width). Throws ERR_DTYPE_MISMATCH, ERR_DEVICE_MISMATCH, ERR_SHAPE_MISMATCH, ERR_OUT_OF_RANGE. */
function pictureOf(view: View, layout: ImageLayout, index: unknown): TensorArg {
  const { storage, dtype, device, shape, strides } = view;
  if (!dtypeInfo(dtype).floating) {
    throw new TokenLearnerError(
      'ERR_DTYPE_MISMATCH',
      `Expected a tensor of a floating dtype but it is ${dtype}`,
    );
  }
  if (device !== 'cpu') {
    throw new TokenLearnerError(
      'ERR_DEVICE_MISMATCH',
      `The tensor is on ${device}; call to('cpu') to make a picture`,
    );
  }
  const order = layout === 'channels-first' ? [-3, -2, -1] : [-1, -3, -2];
  const last = (sizes: Shape): number[] => order.map((d) => sizes.at(d) ?? 0);
  const sizes = last(shape);
  const batch = shape.length === 4 ? (shape[0] ?? 0) : 1;
  if (![3, 4].includes(shape.length) || ![1, 3].includes(sizes[0] ?? 0) || sizes.includes(0) || batch === 0) {
    const expected = layout === 'channels-first' ? '(N, C, H, W) or (C, H, W)' : '(N, H, W, C) or (H, W, C)';
    throw new TokenLearnerError(
      'ERR_SHAPE_MISMATCH',
      `Expected a shape ${expected} with 1 or 3 channels and at least one pixel but it is ${formatShape(shape)}`,
    );
  }
  if (index === undefined && batch > 1) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected \`options.index\`, the picture's position among the ${batch}, for a batch`,
    );
  }
  const at = checkInteger('options.index', index ?? 0, { min: 0, max: batch - 1 });
  return {
    storage: storage.argument(),
    dtype: dtypeInfo(dtype).code,
    shape: sizes,
    strides: last(strides),
    offset: view.offset + (shape.length === 4 ? at * (strides[0] ?? 0) : 0),
  };
}
