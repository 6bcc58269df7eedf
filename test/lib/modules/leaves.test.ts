import {
  Conv2d,
  type Conv2dOptions,
  Flatten,
  GELU,
  type GELUOptions,
  LayerNorm,
  Linear,
  manualSeed,
  MaxPool2d,
  type MaxPool2dOptions,
  type Pair,
  ReLU,
  Tensor,
} from '../../../lib';
import { expectThrow } from '../formats/support';
import type { TensorModule } from '../support';

const run = (module: TensorModule, data: number[], shape: number[]): number[] => [
  ...module.forwardSync(Tensor.from(data, shape)).data,
];

const refusesShape = (module: TensorModule, shape: number[]): void => {
  expectThrow(() => module.forwardSync(Tensor.zeros(shape)), 'ERR_SHAPE_MISMATCH', `(${shape.join(', ')}`);
  expectThrow(() => module.outputShape(shape), 'ERR_SHAPE_MISMATCH', `(${shape.join(', ')}`);
};

describe('Linear', () => {
  test('multiplies and adds', () => {
    const linear = new Linear(2, 3, { device: 'cpu' });
    linear.loadStateDict({
      weight: Tensor.from([1, 2, 3, 4, 5, 6], [3, 2]),
      bias: Tensor.from([10, 20, 30]),
    });
    expect(run(linear, [1, 1], [2])).toEqual([13, 27, 41]);
    expect(linear.outputShape([7, 5, 2])).toEqual([7, 5, 3]);
  });

  test('draws initial parameters within 1/sqrt(in), as PyTorch does', () => {
    // Of 50 random numbers none is above nine tenths of the bound once in 200 draws.
    manualSeed(1);
    const [weight, bias] = new Linear(100, 50, { device: 'cpu' })
      .parameters()
      .map(({ data }) => data as Float32Array);
    for (const values of [weight, bias]) {
      expect(values?.every((value) => Math.abs(value) <= 0.1)).toBe(true);
      expect(values?.some((value) => Math.abs(value) > 0.09)).toBe(true);
    }
  });

  test('reads like PyTorch’s', () => {
    expect(String(new Linear(2, 3))).toBe('Linear(in_features=2, out_features=3, bias=True)');
    expect(String(new Linear(2, 3, { bias: false }))).toBe(
      'Linear(in_features=2, out_features=3, bias=False)',
    );
  });

  test('refuses an input with another number of features', () => {
    refusesShape(new Linear(2, 3), [3]);
    refusesShape(new Linear(2, 3), [2, 4]);
    expectThrow(() => new Linear(2, 3).forwardSync(Tensor.zeros([])), 'ERR_SHAPE_MISMATCH', 'received ()');
  });

  test.each([
    [0, 1, {}, 'ERR_OUT_OF_RANGE', '`inFeatures`'],
    [1, undefined, {}, 'ERR_INVALID_ARG_TYPE', '`outFeatures`'],
    [2 ** 30, 2 ** 30, {}, 'ERR_OUT_OF_RANGE', 'too many elements'],
    [1, 1, { bias: 'no' }, 'ERR_INVALID_ARG_TYPE', '`options.bias`'],
    [1, 1, { biass: false }, 'ERR_INVALID_ARG_VALUE', "'biass'"],
  ] as const)('Linear(%p, %p, %p) is refused', (inputs, outputs, options, code, message) => {
    expectThrow(() => new Linear(inputs, outputs as never, options as never), code, message);
  });
});

describe('Conv2d', () => {
  test('computes a cross-correlation', () => {
    const conv = new Conv2d(1, 1, 2, { device: 'cpu' });
    conv.loadStateDict({ weight: Tensor.from([1, 2, 3, 4], [1, 1, 2, 2]), bias: Tensor.from([100]) });
    expect(run(conv, [1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 3, 3])).toEqual([137, 147, 167, 177]);
  });

  test.each([
    [{}, [2, 4, 8, 9], [2, 6, 6, 7]],
    [{ stride: 2 }, [2, 4, 8, 9], [2, 6, 3, 4]],
    [{ stride: [1, 2], padding: [0, 1] }, [4, 8, 9], [6, 6, 5]],
    [{ dilation: [2, 1] }, [2, 4, 8, 9], [2, 6, 4, 7]],
    [{ groups: 2, bias: false }, [0, 4, 3, 3], [0, 6, 1, 1]],
  ] as [Conv2dOptions, number[], number[]][])('with %p, %p becomes %p', (options, input, output) => {
    const conv = new Conv2d(4, 6, 3, { ...options, device: 'cpu' });
    expect(conv.outputShape(input)).toEqual(output);
    expect(conv.forwardSync(Tensor.randn(input)).shape).toEqual(output);
  });

  test.each([
    [new Conv2d(3, 6, 3), 'Conv2d(3, 6, kernel_size=(3, 3), stride=(1, 1))'],
    [
      new Conv2d(4, 6, [3, 1], { stride: 2, padding: [1, 0], dilation: 2, groups: 2, bias: false }),
      'Conv2d(4, 6, kernel_size=(3, 1), stride=(2, 2), padding=(1, 0), dilation=(2, 2), groups=2, bias=False)',
    ],
  ])('reads like PyTorch’s', (conv, text) => {
    expect(String(conv)).toBe(text);
  });

  test('refuses an image without pixels, even with padding', () => {
    refusesShape(new Conv2d(4, 6, 3, { padding: 3 }), [1, 4, 3, 0]);
  });

  test.each([[[3, 3]], [[4, 2, 3]], [[4, 3, 2]], [[1, 1, 4, 3, 3]], [[3, 4, 4]]])(
    'refuses an input %p',
    (shape) => {
      refusesShape(new Conv2d(4, 6, 3), shape);
    },
  );

  test.each([
    [0, 1, 1, {}, 'ERR_OUT_OF_RANGE', '`inChannels`'],
    [1, 1.5, 1, {}, 'ERR_OUT_OF_RANGE', '`outChannels`'],
    [1, 1, 0, {}, 'ERR_OUT_OF_RANGE', '`kernelSize`'],
    [1, 1, [1, 0], {}, 'ERR_OUT_OF_RANGE', '`kernelSize[1]`'],
    [1, 1, [1], {}, 'ERR_INVALID_ARG_VALUE', '`kernelSize`'],
    [1, 1, undefined, {}, 'ERR_INVALID_ARG_TYPE', '`kernelSize`'],
    [1, 1, 2 ** 31, {}, 'ERR_OUT_OF_RANGE', '`kernelSize`'],
    [1, 1, 1, { stride: 0 }, 'ERR_OUT_OF_RANGE', '`options.stride`'],
    [1, 1, 1, { padding: -1 }, 'ERR_OUT_OF_RANGE', '`options.padding`'],
    [1, 1, 1, { padding: 'same' }, 'ERR_INVALID_ARG_TYPE', '`options.padding`'],
    [4, 6, 1, { groups: 3 }, 'ERR_INVALID_ARG_VALUE', 'a divisor of 4 and 6'],
    [1, 1, 1, { strides: 2 }, 'ERR_INVALID_ARG_VALUE', "'strides'"],
  ] as const)('Conv2d(%p, %p, %p, %p) is refused', (inputs, outputs, kernel, options, code, message) => {
    expectThrow(() => new Conv2d(inputs, outputs, kernel as never, options as never), code, message);
  });
});

describe('MaxPool2d', () => {
  test('takes the largest element of each window', () => {
    expect(run(new MaxPool2d(2), [1, 2, 5, 3, 4, 0, 7, 8, 9], [1, 3, 3])).toEqual([4]);
    expect(run(new MaxPool2d(2, { stride: 1 }), [1, 2, 5, 3, 4, 0, 7, 8, 9], [1, 3, 3])).toEqual([
      4, 5, 8, 9,
    ]);
  });

  // Every output size must equal libtorch's.
  const kernels: Pair[] = [1, 2, 3, [2, 3]];
  const options: MaxPool2dOptions[] = [
    {},
    { stride: 1 },
    { stride: 3 },
    { padding: [1, 0] },
    { dilation: 2 },
    { ceilMode: true },
    { stride: 3, padding: [1, 0], ceilMode: true },
    { stride: 3, dilation: 2, ceilMode: true },
  ];
  test.each(kernels.flatMap((kernel) => options.map((option) => [kernel, option] as const)))(
    'kernel %p, %p: outputShape is correct for sizes 1 to 9',
    (kernel, option) => {
      // The padding may be at most half of the kernel.
      if (option.padding !== undefined && kernel === 1) return;
      const pool = new MaxPool2d(kernel, option);
      for (let size = 1; size < 10; size++) {
        const shape = [1, size, 10 - size];
        let expected: number[];
        try {
          expected = pool.outputShape(shape);
        } catch {
          continue;
        }
        expect(pool.forwardSync(Tensor.zeros(shape)).shape).toEqual(expected);
      }
    },
  );

  test('reads like PyTorch’s', () => {
    expect(String(new MaxPool2d(2))).toBe(
      'MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)',
    );
    expect(String(new MaxPool2d([3, 2], { stride: [2, 1], padding: [1, 0], ceilMode: true }))).toBe(
      'MaxPool2d(kernel_size=(3, 2), stride=(2, 1), padding=(1, 0), dilation=1, ceil_mode=True)',
    );
  });

  test.each([[[4, 4]], [[1, 1, 1, 4, 4]], [[1, 1, 4]], [[0, 4, 4]]])('refuses an input %p', (shape) => {
    expectThrow(() => new MaxPool2d(2).forwardSync(Tensor.zeros(shape)), 'ERR_SHAPE_MISMATCH', /./);
  });

  test.each([
    [2, { padding: 2 }, 'ERR_INVALID_ARG_VALUE', '`options.padding`'],
    [0, {}, 'ERR_OUT_OF_RANGE', '`kernelSize`'],
    [2, { ceilMode: 1 }, 'ERR_INVALID_ARG_TYPE', '`options.ceilMode`'],
    [2, { ceil: true }, 'ERR_INVALID_ARG_VALUE', "'ceil'"],
  ] as const)('MaxPool2d(%p, %p) is refused', (kernel, option, code, message) => {
    expectThrow(() => new MaxPool2d(kernel, option as never), code, message);
  });
});

describe('Flatten', () => {
  test.each([
    [[], [2, 3, 4], [2, 12]],
    [[0], [2, 3, 4], [24]],
    [
      [1, 2],
      [2, 3, 4, 5],
      [2, 12, 5],
    ],
    [[-2], [2, 3, 4], [2, 12]],
    [[1], [0, 3, 4], [0, 12]],
    [
      [1, 1],
      [2, 3],
      [2, 3],
    ],
  ])('Flatten(%p) of %p is %p', (args, input, output) => {
    const flatten = new Flatten(...args);
    expect(flatten.outputShape(input)).toEqual(output);
    const x = Tensor.randn(input);
    const flat = flatten.forwardSync(x);
    expect(flat.shape).toEqual(output);
    expect(flat.data).toEqual(x.data);
  });

  test('reads like PyTorch’s', () => {
    expect(String(new Flatten())).toBe('Flatten(start_dim=1, end_dim=-1)');
  });

  test('refuses inputs that do not have these dimensions', () => {
    refusesShape(new Flatten(), [3]);
    refusesShape(new Flatten(2, 1), [3, 4, 5]);
    refusesShape(new Flatten(-4), [3, 4, 5]);
  });

  test.each([[1.5], ['1'], [NaN], [null]])('Flatten(%p) is refused', (start) => {
    expect(() => new Flatten(start as never)).toThrow(/`startDim`/);
  });
});

describe('GELU and ReLU', () => {
  test('GELU is exact by default', () => {
    // From tables of the normal distribution: x * Phi(x).
    const exact = 0.8413447460685429;
    const tanh = 0.5 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * 1.044715));
    const [unit] = run(new GELU(), [1], [1]);
    const [approximate] = run(new GELU({ approximate: 'tanh' }), [1], [1]);
    // Two units in the last place of float32.
    expect(Math.abs((unit ?? 0) - exact)).toBeLessThan(2 ** -23);
    expect(Math.abs((approximate ?? 0) - tanh)).toBeLessThan(2 ** -23);
  });

  test('ReLU replaces negative numbers by 0', () => {
    expect(run(new ReLU(), [-1, 0, 2], [3])).toEqual([0, 0, 2]);
    expect(run(new ReLU(), [NaN, -Infinity], [2])).toEqual([NaN, 0]);
  });

  test('read like PyTorch’s', () => {
    expect(String(new GELU())).toBe("GELU(approximate='none')");
    expect(String(new GELU({ approximate: 'tanh' }))).toBe("GELU(approximate='tanh')");
    expect(String(new ReLU())).toBe('ReLU()');
  });

  test.each([[{ approximate: 'erf' }], [{ approximate: true }], [{ approx: 'tanh' }]])(
    'GELU(%p) is refused',
    (options) => {
      expect(() => new GELU(options as GELUOptions)).toThrow(/approx/);
    },
  );
});

describe('LayerNorm', () => {
  test('gives mean 0 and variance 1', () => {
    expect(run(new LayerNorm(2, { eps: 0, device: 'cpu' }), [1, 3, -5, 5], [2, 2])).toEqual([-1, 1, -1, 1]);
  });

  test('initial weight and bias are ones and zeros', () => {
    const { weight, bias } = new LayerNorm([2, 3], { device: 'cpu' }).stateDict();
    expect([...(weight?.data as Float32Array)]).toEqual([1, 1, 1, 1, 1, 1]);
    expect([...(bias?.data as Float32Array)]).toEqual([0, 0, 0, 0, 0, 0]);
    expect(new LayerNorm(3, { elementwiseAffine: false }).stateDict()).toEqual({});
  });

  test.each([
    [{}, '1e-05'],
    [{ eps: 1e-6 }, '1e-06'],
    [{ eps: 1e-12 }, '1e-12'],
    [{ eps: 1.5e-5 }, '1.5e-05'],
    [{ eps: 0.001 }, '0.001'],
  ])('with %p reads like PyTorch’s', (options, eps) => {
    expect(String(new LayerNorm(10, options))).toBe(
      `LayerNorm((10,), eps=${eps}, elementwise_affine=True, bias=True)`,
    );
    expect(String(new LayerNorm([2, 3], { ...options, elementwiseAffine: false }))).toBe(
      `LayerNorm((2, 3), eps=${eps}, elementwise_affine=False, bias=False)`,
    );
  });

  test('refuses an input of other sizes', () => {
    refusesShape(new LayerNorm([2, 3]), [3]);
    refusesShape(new LayerNorm([2, 3]), [3, 2]);
  });

  test.each([
    [0, {}, 'ERR_OUT_OF_RANGE'],
    [[], {}, 'ERR_OUT_OF_RANGE'],
    [[2, 0], {}, 'ERR_OUT_OF_RANGE'],
    ['3', {}, 'ERR_INVALID_ARG_TYPE'],
    [3, { eps: -1 }, 'ERR_OUT_OF_RANGE'],
    [3, { eps: NaN }, 'ERR_OUT_OF_RANGE'],
    [3, { affine: false }, 'ERR_INVALID_ARG_VALUE'],
  ] as const)('LayerNorm(%p, %p) is refused', (shape, options, code) => {
    expectThrow(() => new LayerNorm(shape as never, options as never), code, /`/);
  });
});
