/** Pictures to tensors. The arithmetic is in native/kernels/cpu/image.cpp; it needs no libtorch. */
import { binding } from '../binding';
import { dtypeInfo, FLOAT_DTYPES, type FloatDType } from '../dtype';
import { TokenLearnerError } from '../errors';
import type { ImageFormat, NativeTensor, TensorArg } from '../native-interface';
import { contiguousStrides, elementCount, formatShape } from '../shape';
import { checkOneOf, checkOptions, unexpected } from '../validate';
import { checkSize, cropWindow, type CropWindow, type ImageSize, resizedSize } from './image-geometry';
import { checkPicture, type Picture } from './image-input';
import {
  checkLayout,
  checkStatistics,
  type ImageLayout,
  normalization,
  type NormalizeOptions,
  type Statistics,
} from './image-normalization';

/** Options of `Tensor.fromImage` and `Tensor.fromImageSync`. */
export interface FromImageOptions<D extends FloatDType = FloatDType> extends NormalizeOptions {
  /** @default 'channels-first' */
  layout?: ImageLayout | undefined;
  /** The numbers are computed in float32 and then converted. @default 'float32' */
  dtype?: D | undefined;
  /** The new size. A number is the length of the shorter side. @default no resize */
  resize?: number | ImageSize | undefined;
  /** The filter of the resize. @default 'bilinear' */
  interpolation?: 'bilinear' | 'bicubic' | undefined;
  /** The size of the centre that is kept, after the resize. A number is a square. @default no crop */
  crop?: number | ImageSize | undefined;
}

type NativeArguments = [
  pictures: TensorArg[],
  geometries: number[][],
  normalization: Float32Array,
  format: ImageFormat,
];

/** Converts pictures on the CPU's executor thread, for `Tensor.fromImage`. */
export async function fromImage(image: unknown, options: unknown): Promise<NativeTensor> {
  return only(await binding().imagesToTensor(...nativeArguments(image, options)));
}

/** Converts pictures on this thread, for `Tensor.fromImageSync`. */
export function fromImageSync(image: unknown, options: unknown): NativeTensor {
  return only(binding().imagesToTensorSync(...nativeArguments(image, options)));
}

function only(tensors: NativeTensor[]): NativeTensor {
  const [tensor] = tensors;
  if (tensor === undefined) throw new TypeError('Native code returned no tensor');
  return tensor;
}

function nativeArguments(image: unknown, options: unknown): NativeArguments {
  const chosen = checkFromImage(options);
  const pictures = checkPictures(image);
  const windows = pictures.map((picture) => placed(picture, chosen));
  const [picture] = pictures;
  const [window] = windows;
  if (picture === undefined || window === undefined)
    throw unexpected('ERR_INVALID_ARG_VALUE', 'image', 'at least one picture', image);
  checkEqual(pictures, windows);
  const { width, height } = window.crop;
  const { code, itemSize } = dtypeInfo(chosen.dtype);
  elementCount([pictures.length, picture.colors, height, width], itemSize);
  return [
    pictures.map(asArgument),
    windows.map(({ resized, crop }) => [resized.height, resized.width, crop.top, crop.left]),
    normalization(chosen.statistics, picture.colors),
    {
      dtype: code,
      channelsLast: chosen.layout === 'channels-last',
      bicubic: chosen.interpolation === 'bicubic',
      height,
      width,
    },
  ];
}

function asArgument({ bytes, width, height, channels }: Picture): TensorArg {
  const shape = [height, width, channels];
  return {
    storage: bytes,
    dtype: dtypeInfo('uint8').code,
    shape,
    strides: contiguousStrides(shape),
    offset: 0,
  };
}

function checkPictures(image: unknown): Picture[] {
  if (!Array.isArray(image)) return [checkPicture('image', image)];
  return Array.from({ length: image.length }, (_, i) => checkPicture(`image[${i}]`, image[i]));
}

interface Placed {
  resized: ImageSize;
  crop: CropWindow;
}

function placed(picture: Picture, { resize, crop }: Pick<Chosen, 'resize' | 'crop'>): Placed {
  const resized = resize === undefined ? picture : resizedSize(picture, resize);
  return { resized, crop: cropWindow(resized, crop ?? resized) };
}

/** Throws ERR_SHAPE_MISMATCH unless all pictures fill the same shape. */
function checkEqual(pictures: readonly Picture[], windows: readonly Placed[]): void {
  const shapes = windows.map(({ crop }, i) => [pictures[i]?.colors ?? 0, crop.height, crop.width]);
  const first = formatShape(shapes[0] ?? []);
  const other = shapes.findIndex((shape) => formatShape(shape) !== first);
  if (other < 0) return;
  throw new TokenLearnerError(
    'ERR_SHAPE_MISMATCH',
    `Expected pictures of equal (channels, height, width) but \`image[0]\` gives ${first} and \`image[${other}]\` gives ` +
      `${formatShape(shapes[other] ?? [])}; \`resize\` to { width, height }, or \`crop\`, makes their sizes equal`,
  );
}

interface Chosen {
  statistics: Statistics | undefined;
  layout: ImageLayout;
  dtype: FloatDType;
  resize: number | ImageSize | undefined;
  interpolation: 'bilinear' | 'bicubic';
  crop: number | ImageSize | undefined;
}

const FROM_OPTIONS = ['mean', 'std', 'layout', 'dtype', 'resize', 'interpolation', 'crop'] as const;

function checkFromImage(options: unknown): Chosen {
  const { mean, std, layout, dtype, resize, interpolation, crop } = checkOptions(
    'options',
    options,
    FROM_OPTIONS,
  );
  if (interpolation !== undefined && resize === undefined) {
    throw unexpected(
      'ERR_INVALID_ARG_VALUE',
      'options.interpolation',
      'no value without `resize`',
      interpolation,
    );
  }
  return {
    statistics: checkStatistics(mean, std),
    layout: checkLayout(layout),
    dtype: checkOneOf('options.dtype', dtype ?? 'float32', FLOAT_DTYPES),
    resize: resize === undefined ? undefined : checkSize('options.resize', resize),
    interpolation: checkOneOf('options.interpolation', interpolation ?? 'bilinear', ['bilinear', 'bicubic']),
    crop: crop === undefined ? undefined : checkSize('options.crop', crop),
  };
}
