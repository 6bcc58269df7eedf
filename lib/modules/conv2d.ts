import { TokenLearnerError } from '../errors';
import { weightAndBias } from '../init';
import { elementCount, formatShape } from '../shape';
import { checkBoolean, checkInteger, checkOptions } from '../validate';
import { registerClass } from './classes';
import { checkPlacement, PLACEMENT_OPTIONS, type PlacementOptions, UnaryLeaf } from './leaf';
import { checkPair, formatPair, type Pair } from './pair';

export interface Conv2dOptions extends PlacementOptions {
  /** At least 1. @default 1 */
  stride?: Pair | undefined;
  /** The number of zeros added at each side. At least 0. @default 0 */
  padding?: Pair | undefined;
  /** At least 1. @default 1 */
  dilation?: Pair | undefined;
  /** Must divide both channel counts. @default 1 */
  groups?: number | undefined;
  /** @default true */
  bias?: boolean | undefined;
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

function outputShape(input: readonly number[], config: Config): number[] {
  const { inChannels, outChannels, kernel, stride, padding, dilation } = config;
  if ((input.length !== 3 && input.length !== 4) || input.at(-3) !== inChannels) {
    throw new TokenLearnerError(
      'ERR_SHAPE_MISMATCH',
      `Expected an input of shape (N, ${inChannels}, H, W) or (${inChannels}, H, W) but received ${formatShape(input)}`,
    );
  }
  const sizes = input.slice(-2).map((size, i) => {
    const reach = (dilation[i] ?? 1) * ((kernel[i] ?? 1) - 1) + 1;
    return Math.floor((size + 2 * (padding[i] ?? 0) - reach) / (stride[i] ?? 1)) + 1;
  });
  // libtorch accepts an empty batch. It rejects an empty image, even with padding.
  if (sizes.some((size) => size < 1) || input.slice(-2).includes(0)) {
    throw new TokenLearnerError(
      'ERR_SHAPE_MISMATCH',
      `An input of shape ${formatShape(input)} is smaller than the kernel ${formatPair(kernel)}`,
    );
  }
  return [...input.slice(0, -3), outChannels, ...sizes];
}

function repr({ inChannels, outChannels, kernel, stride, padding, dilation, groups, bias }: Config): string {
  const parts = [
    `${inChannels}, ${outChannels}, kernel_size=${formatPair(kernel)}, stride=${formatPair(stride)}`,
    ...(padding.some((n) => n !== 0) ? [`padding=${formatPair(padding)}`] : []),
    ...(dilation.some((n) => n !== 1) ? [`dilation=${formatPair(dilation)}`] : []),
    ...(groups === 1 ? [] : [`groups=${groups}`]),
    ...(bias ? [] : ['bias=False']),
  ];
  return `Conv2d(${parts.join(', ')})`;
}

/**
 * torch.nn.Conv2d: (N, C, H, W) or (C, H, W). Parameters: weight (out, in / groups, kh, kw), bias (out).
 *
 * @example
 * ```ts
 * import { Conv2d, Tensor } from 'tokenlearner';
 *
 * const patches = new Conv2d(3, 64, 16, { stride: 16 });
 * const y = await patches.forward(Tensor.randn([1, 3, 224, 224]));
 * console.log(y.shape); // [ 1, 64, 14, 14 ]
 * ```
 */
export class Conv2d extends UnaryLeaf {
  static {
    registerClass('Conv2d', this, (args) => new Conv2d(...(args as ConstructorParameters<typeof Conv2d>)));
  }

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
    const { stride, padding, dilation, groups, bias } = config;
    const shape = [outChannels, inChannels / groups, ...config.kernel];
    elementCount(shape, Float32Array.BYTES_PER_ELEMENT);
    const placement = checkPlacement(given);
    super({
      kind: 'conv2d',
      libtorchUser: 'Conv2d',
      config: { stride, padding, dilation, groups },
      arguments: [
        inChannels,
        outChannels,
        config.kernel,
        { stride, padding, dilation, groups, bias, device: 'cpu' },
      ],
      placement,
      parameters: [{ name: 'weight', shape }, ...(bias ? [{ name: 'bias', shape: [outChannels] }] : [])],
      initial: () => weightAndBias(shape, bias, placement.dtype),
      outputShape: (input) => outputShape(input, config),
      repr: repr(config),
    });
  }
}
