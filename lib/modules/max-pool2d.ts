import { TokenLearnerError } from '../errors';
import { formatShape } from '../shape';
import { checkBoolean, checkOptions } from '../validate';
import { registerClass } from './classes';
import { UnaryLeaf } from './leaf';
import { checkPair, formatPair, type Pair } from './pair';

/** Options of {@link MaxPool2d}. */
export interface MaxPool2dOptions {
  /** At least 1. @default the kernel's size */
  stride?: Pair | undefined;
  /** At least 0, and at most half of the kernel. @default 0 */
  padding?: Pair | undefined;
  /** At least 1. @default 1 */
  dilation?: Pair | undefined;
  /** Round output sizes up. @default false */
  ceilMode?: boolean | undefined;
}

interface Config {
  kernel: [number, number];
  stride: [number, number];
  padding: [number, number];
  dilation: [number, number];
  ceilMode: boolean;
}

/** The output size of one dimension, as torch computes it. With ceilMode the last window must start inside the input. */
function pooledSize(
  size: number,
  kernel: number,
  stride: number,
  padding: number,
  dilation: number,
  ceil: boolean,
): number {
  const span = size + 2 * padding - dilation * (kernel - 1) - 1;
  const pooled = (ceil ? Math.ceil(span / stride) : Math.floor(span / stride)) + 1;
  return ceil && (pooled - 1) * stride >= size + padding ? pooled - 1 : pooled;
}

/** The pair as the caller gave it: two numbers, or one for both. */
function asGiven(pair: [number, number], asked: unknown): Pair {
  return Array.isArray(asked) ? pair : pair[0];
}

function formatOne(pair: [number, number], asked: unknown): string {
  return Array.isArray(asked) ? formatPair(pair) : String(pair[0]);
}

function outputShape(input: readonly number[], config: Config): number[] {
  const { kernel, stride, padding, dilation, ceilMode } = config;
  if (input.length !== 3 && input.length !== 4) {
    throw new TokenLearnerError(
      'ERR_SHAPE_MISMATCH',
      `Expected an input of shape (N, C, H, W) or (C, H, W) but received ${formatShape(input)}`,
    );
  }
  const sizes = input
    .slice(-2)
    .map((size, i) =>
      pooledSize(size, kernel[i] ?? 1, stride[i] ?? 1, padding[i] ?? 0, dilation[i] ?? 1, ceilMode),
    );
  if (sizes.some((size) => size < 1) || input.slice(-3).includes(0)) {
    throw new TokenLearnerError(
      'ERR_SHAPE_MISMATCH',
      `An input of shape ${formatShape(input)} is too small for the kernel ${formatPair(kernel)}`,
    );
  }
  return [...input.slice(0, -2), ...sizes];
}

/**
 * torch.nn.MaxPool2d: (N, C, H, W) or (C, H, W). It shrinks feature maps that are too large for a TokenLearner.
 *
 * @example
 * ```ts
 * import { MaxPool2d, Tensor } from 'tokenlearner';
 *
 * const y = await new MaxPool2d(4).forward(Tensor.randn([1, 64, 256, 256]));
 * console.log(y.shape); // [ 1, 64, 64, 64 ]
 * ```
 */
export class MaxPool2d extends UnaryLeaf {
  static {
    registerClass(
      'MaxPool2d',
      this,
      (args) => new MaxPool2d(...(args as ConstructorParameters<typeof MaxPool2d>)),
    );
  }

  /** @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_INVALID_ARG_VALUE. */
  constructor(kernelSize: Pair, options?: MaxPool2dOptions) {
    const given = checkOptions('options', options, ['stride', 'padding', 'dilation', 'ceilMode']);
    const kernel = checkPair('kernelSize', kernelSize, { min: 1 });
    const stride = checkPair('options.stride', given.stride ?? kernelSize, { min: 1 });
    const padding = checkPair('options.padding', given.padding ?? 0, { min: 0 });
    const dilation = checkPair('options.dilation', given.dilation ?? 1, { min: 1 });
    const ceilMode = checkBoolean('options.ceilMode', given.ceilMode ?? false);
    if (padding.some((n, i) => n * 2 > (kernel[i] ?? 0))) {
      throw new TokenLearnerError(
        'ERR_INVALID_ARG_VALUE',
        `Expected at most half of the kernel ${formatPair(kernel)} for \`options.padding\` but received ${formatPair(padding)}`,
      );
    }
    const config = { kernel, stride, padding, dilation, ceilMode };
    super({
      kind: 'max-pool2d',
      libtorchUser: 'MaxPool2d',
      config,
      arguments: [
        asGiven(kernel, kernelSize),
        {
          stride: asGiven(stride, given.stride ?? kernelSize),
          padding: asGiven(padding, given.padding),
          dilation: asGiven(dilation, given.dilation),
          ceilMode,
        },
      ],
      outputShape: (input) => outputShape(input, config),
      repr:
        `MaxPool2d(kernel_size=${formatOne(kernel, kernelSize)}, stride=${formatOne(stride, given.stride ?? kernelSize)}, ` +
        `padding=${formatOne(padding, given.padding)}, dilation=${formatOne(dilation, given.dilation)}, ` +
        `ceil_mode=${ceilMode ? 'True' : 'False'})`,
    });
  }
}
