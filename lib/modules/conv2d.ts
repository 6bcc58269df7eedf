import { TokenLearnerError } from '../errors';
import { weightAndBias } from '../init';
import { checkShape, elementCount, formatShape, type Shape } from '../shape';
import { checkBoolean, checkInteger, checkOptions } from '../validate';
import { checkPlacement, PLACEMENT_OPTIONS, type PlacementOptions, UnaryLeaf } from './leaf';
import { assertUsable } from './module';
import { checkPair, formatPair, type Pair } from './pair';

export interface Conv2dOptions extends PlacementOptions {
  /** At least 1. @default 1 */
  stride?: Pair;
  /** Zeros at each side. @default 0 */
  padding?: Pair;
  /** At least 1. @default 1 */
  dilation?: Pair;
  /** Must divide both channel counts. @default 1 */
  groups?: number;
  /** @default true */
  bias?: boolean;
}

interface Config {
  inChannels: number;
  outChannels: number;
  kernel: [number, number];
  stride: [number, number];
  padding: [number, number];
  dilation: [number, number];
  groups: number;
  bias: boolean;
}

const OPTIONS = ['stride', 'padding', 'dilation', 'groups', 'bias', ...PLACEMENT_OPTIONS] as const;

function checkGroups(config: Config): Config {
  if (config.inChannels % config.groups !== 0 || config.outChannels % config.groups !== 0) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected a divisor of ${config.inChannels} and ${config.outChannels} for \`options.groups\` but received ${config.groups}`,
    );
  }
  return config;
}

/** torch.nn.Conv2d: (N, C, H, W) or (C, H, W). Parameters: weight (out, in / groups, kh, kw), bias (out). */
export class Conv2d extends UnaryLeaf {
  readonly #config: Config;

  /** @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_INVALID_ARG_VALUE, ERR_CUDA_UNAVAILABLE. */
  constructor(inChannels: number, outChannels: number, kernelSize: Pair, options?: Conv2dOptions) {
    const given = checkOptions('options', options, OPTIONS);
    const positive = { min: 1 };
    const config = checkGroups({
      inChannels: checkInteger('inChannels', inChannels, positive),
      outChannels: checkInteger('outChannels', outChannels, positive),
      kernel: checkPair('kernelSize', kernelSize, positive),
      stride: checkPair('options.stride', given.stride ?? 1, positive),
      padding: checkPair('options.padding', given.padding ?? 0, { min: 0 }),
      dilation: checkPair('options.dilation', given.dilation ?? 1, positive),
      groups: checkInteger('options.groups', given.groups ?? 1, positive),
      bias: checkBoolean('options.bias', given.bias ?? true),
    });
    const shape = [config.outChannels, config.inChannels / config.groups, ...config.kernel];
    elementCount(shape, Float32Array.BYTES_PER_ELEMENT);
    const placement = checkPlacement(given);
    super({
      kind: 'conv2d',
      config: {
        strideH: config.stride[0],
        strideW: config.stride[1],
        paddingH: config.padding[0],
        paddingW: config.padding[1],
        dilationH: config.dilation[0],
        dilationW: config.dilation[1],
        groups: config.groups,
      },
      ...placement,
      specs: [
        { name: 'weight', shape },
        ...(config.bias ? [{ name: 'bias', shape: [config.outChannels] }] : []),
      ],
      values: weightAndBias(shape, config.bias, placement.dtype),
    });
    this.#config = config;
  }

  override outputShape(input: Shape): number[] {
    assertUsable(this, Conv2d);
    const shape = checkShape('shape', input);
    const { inChannels, outChannels, kernel, stride, padding, dilation } = this.#config;
    if ((shape.length !== 3 && shape.length !== 4) || shape.at(-3) !== inChannels) {
      throw new TokenLearnerError(
        'ERR_SHAPE_MISMATCH',
        `Expected an input of shape (N, ${inChannels}, H, W) or (${inChannels}, H, W) but received ${formatShape(shape)}`,
      );
    }
    const sizes = shape.slice(-2).map((size, i) => {
      const reach = (dilation[i] ?? 1) * ((kernel[i] ?? 1) - 1) + 1;
      return Math.floor((size + 2 * (padding[i] ?? 0) - reach) / (stride[i] ?? 1)) + 1;
    });
    // libtorch takes an empty batch, but no empty image, whatever the padding.
    if (sizes.some((size) => size < 1) || shape.slice(-2).includes(0)) {
      throw new TokenLearnerError(
        'ERR_SHAPE_MISMATCH',
        `An input of shape ${formatShape(shape)} is smaller than the kernel ${formatPair(kernel)}`,
      );
    }
    return checkShape('output.shape', [...shape.slice(0, -3), outChannels, ...sizes]);
  }

  override toString(): string {
    assertUsable(this, Conv2d);
    const { inChannels, outChannels, kernel, stride, padding, dilation, groups, bias } = this.#config;
    const parts = [
      `${inChannels}, ${outChannels}, kernel_size=${formatPair(kernel)}, stride=${formatPair(stride)}`,
    ];
    if (padding.some((n) => n !== 0)) parts.push(`padding=${formatPair(padding)}`);
    if (dilation.some((n) => n !== 1)) parts.push(`dilation=${formatPair(dilation)}`);
    if (groups !== 1) parts.push(`groups=${groups}`);
    if (!bias) parts.push('bias=False');
    return `Conv2d(${parts.join(', ')})`;
  }
}
