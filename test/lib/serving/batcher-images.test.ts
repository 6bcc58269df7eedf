/** Batches of images in every order of their dimensions, and of TokenLearnerV11. */
import { Batcher, manualSeed, Tensor, TokenLearner, TokenLearnerV10, TokenLearnerV11 } from '../../../lib';
import { at, elementsOf } from '../support';
import { expectReject } from '../formats/support';
import { hold, images } from './support';

beforeAll(() => {
  manualSeed(4);
});

test.each(
  (['a', 'b', 'd'] as const).flatMap((variant) =>
    (['float32', 'float64', 'float16', 'bfloat16'] as const).map((dtype) => ({ variant, dtype })),
  ),
)('TokenLearnerV11 $variant: images of any sizes share a batch, in $dtype', async (options) => {
  const model = new TokenLearnerV11({ dim: 16, numOutputTokens: 5, device: 'cpu', ...options });
  const inputs = [...images(12), Tensor.randn([2, 16, 40, 30])].map((x) => x.to(options.dtype));
  const batcher = new Batcher(model);
  hold(batcher, inputs.length);
  const outputs = await Promise.all(inputs.map((x) => batcher.forward(x, { returnAttention: true })));
  outputs.forEach(({ tokens, attention }, i) => {
    const alone = model.forwardSync(at(inputs, i), { returnAttention: true });
    expect(tokens.shape).toEqual(alone.tokens.shape);
    expect(elementsOf(tokens)).toEqual(elementsOf(alone.tokens));
    expect(attention.shape).toEqual(alone.attention.shape);
    expect(elementsOf(attention)).toEqual(elementsOf(alone.attention));
  });
  expect(batcher.stats()).toMatchObject({ batches: 1, succeeded: 13 });
});

test.each(['float32', 'float64', 'float16', 'bfloat16'] as const)(
  'TokenLearnerV10: images of any sizes share a batch, in %s',
  async (dtype) => {
    const model = new TokenLearnerV10({ dim: 16, numOutputTokens: 5, device: 'cpu', dtype });
    const inputs = [...images(12), Tensor.randn([2, 16, 40, 30])].map((x) => x.to(dtype));
    const batcher = new Batcher(model);
    hold(batcher, inputs.length);
    const outputs = await Promise.all(
      inputs.map((x) => batcher.forward(x, { returnAttention: true, layout: 'tokens-first' })),
    );
    outputs.forEach(({ tokens, attention }, i) => {
      const alone = model.forwardSync(at(inputs, i), { returnAttention: true, layout: 'tokens-first' });
      expect(tokens.shape).toEqual(alone.tokens.shape);
      expect(elementsOf(tokens)).toEqual(elementsOf(alone.tokens));
      expect(elementsOf(attention)).toEqual(elementsOf(alone.attention));
    });
    expect(batcher.stats()).toMatchObject({ batches: 1, succeeded: 13 });
  },
);

test.each([
  [
    'flat',
    { inputLayout: 'channels-last', pixels: 'flat' },
    [
      [7, 16],
      [2, 9, 16],
      [1, 3, 5, 16],
    ],
    6,
    40,
  ],
  [
    'by rank',
    { inputLayout: 'channels-last' },
    [
      [7, 16],
      [2, 9, 16],
      [4, 16],
    ],
    4,
    29,
  ],
  [
    'grid',
    { inputLayout: 'channels-last' },
    [
      [1, 3, 3, 16],
      [2, 2, 3, 5, 16],
      [1, 7, 1, 16],
    ],
    6,
    76,
  ],
] as const)(
  'channels last, %s: the bits of forward, and the images and pixels of the limits',
  async (_, how, shapes, count, pixels) => {
    const model = new TokenLearnerV11({ dim: 16, numOutputTokens: 5, device: 'cpu' });
    const inputs = shapes.map((shape) => Tensor.randn([...shape]));
    const options = { ...how, layout: 'tokens-first', returnAttention: true } as const;
    for (const [limit, batches] of [
      [pixels, 1],
      [pixels - 1, 2],
    ] as const) {
      const batcher = new Batcher(model, { maxBatchPixels: limit });
      hold(batcher, inputs.length);
      const outputs = await Promise.all(inputs.map((x) => batcher.forward(x, options)));
      outputs.forEach(({ tokens, attention }, i) => {
        const alone = model.forwardSync(at(inputs, i), options);
        expect(tokens.shape).toEqual(alone.tokens.shape);
        expect(elementsOf(tokens)).toEqual(elementsOf(alone.tokens));
        expect(attention.shape).toEqual(alone.attention.shape);
        expect(elementsOf(attention)).toEqual(elementsOf(alone.attention));
      });
      expect(batcher.stats()).toMatchObject({ batches, images: count, succeeded: inputs.length });
    }
  },
);

test('a TokenLearner reads channels last in a batch', async () => {
  const model = new TokenLearner({ dim: 16, numOutputTokens: 4 });
  const batcher = new Batcher(model);
  const inputs = [Tensor.randn([3, 5, 16]), Tensor.randn([2, 4, 7, 16])];
  hold(batcher, 2);
  const outputs = await Promise.all(inputs.map((x) => batcher.forward(x, { inputLayout: 'channels-last' })));
  outputs.forEach((y, i) => {
    expect(elementsOf(y)).toEqual(
      elementsOf(model.forwardSync(at(inputs, i), { inputLayout: 'channels-last' })),
    );
  });
  expect(batcher.stats()).toMatchObject({ batches: 1, images: 3 });
  const stray = { inputLayout: 'channels-last', pixels: 'flat' } as const;
  await expectReject(batcher.forward(at(inputs, 0), stray), 'ERR_INVALID_ARG_VALUE', "'pixels'");
});
