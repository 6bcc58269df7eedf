/**
 * No input crashes the process. For any arguments a public function returns a result or throws a TokenLearnerError.
 */
import fc from 'fast-check';
import {
  type AnyTensor,
  Conv2d,
  Flatten,
  GELU,
  LayerNorm,
  Linear,
  manualSeed,
  MaxPool2d,
  type Module,
  ReLU,
  Sequential,
  Tensor,
  TokenLearner,
  TokenLearnerError,
} from '../../lib';
import { DTYPES } from '../../lib/dtype';

const numRuns = 300;

/** The result of `use`; undefined if it throws a TokenLearnerError. Any other error fails the test. */
function attempt<T>(use: () => T): T | undefined {
  try {
    return use();
  } catch (error) {
    if (error instanceof TokenLearnerError) return undefined;
    throw error;
  }
}

const disposed = Tensor.zeros([2, 2]);
disposed.dispose();

// Small sizes, and sizes so large that they must be refused. Sizes in between would really allocate gigabytes.
const size = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 6 }) },
  fc.constantFrom(-1, -2, 1.5, NaN, Infinity, -0, 2 ** 50, 2 ** 53, Number.MAX_VALUE),
);
const junk = fc.oneof(
  size,
  fc.array(size, { maxLength: 5 }),
  fc.constantFrom<unknown>(undefined, null, '', '4', true, 4n, Symbol('x'), () => 4, {}, [], [[]]),
  fc.constantFrom<unknown>(
    new Float32Array(4),
    new Map(),
    disposed,
    Tensor.zeros([2, 3]),
    Object.create(Tensor.prototype),
  ),
  fc.anything({ maxDepth: 1 }),
);
const options = (keys: string[]): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 4, arbitrary: fc.dictionary(fc.constantFrom(...keys), junk, { maxKeys: 3 }) }, junk);
const shape = fc.array(size, { maxLength: 5 });
const dtype = fc.constantFrom(...DTYPES);
const tensor: fc.Arbitrary<AnyTensor> = fc
  .tuple(fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 5 }), dtype)
  .map(([sizes, type]) => Tensor.ones(sizes, { dtype: type }));

type Loose = (...args: unknown[]) => unknown;

test('tensors: any arguments', () => {
  const makers = [
    ...['empty', 'zeros', 'ones', 'full', 'randn', 'rand', 'from', 'fromBuffer'],
    ...['arange', 'linspace', 'eye', 'cat', 'stack'],
  ];
  const arbitrary = fc.tuple(
    fc.constantFrom(...makers),
    fc.oneof(shape, junk),
    fc.oneof(junk, options(['dtype', 'device'])),
    options(['dtype', 'device']),
  );
  fc.assert(
    fc.property(arbitrary, ([maker, ...args]) => {
      const made = attempt(() => (Tensor as unknown as Record<string, Loose>)[maker]?.(...args));
      if (made === undefined) return;
      const { numel, data } = made as AnyTensor;
      expect(data.length).toBe(numel);
    }),
    { numRuns: 2 * numRuns },
  );
});

test('tensors: any method with any arguments', () => {
  const methods = [
    ...[
      'reshape',
      'permute',
      'transpose',
      'to',
      'clone',
      'contiguous',
      'toString',
      'view',
      'flatten',
      'narrow',
    ],
    ...[
      'select',
      'slice',
      'squeeze',
      'unsqueeze',
      'sum',
      'mean',
      'argmax',
      'softmax',
      'float',
      'half',
      'cpu',
    ],
    ...['unbind', 'topk', 'item', 'toArray', 'equals', 'allClose', 'toJSON'],
  ];
  const arbitrary = fc.tuple(
    tensor,
    fc.array(fc.tuple(fc.constantFrom(...methods), junk, junk), { maxLength: 4 }),
  );
  fc.assert(
    fc.property(arbitrary, ([start, calls]) => {
      let current = start;
      for (const [method, ...args] of calls) {
        const next = attempt(() => (current as unknown as Record<string, Loose>)[method]?.(...args));
        if (next instanceof Tensor) current = next as AnyTensor;
      }
      expect(current.clone().data.length).toBe(current.numel);
    }),
    { numRuns },
  );
});

test('reshape, permute and contiguous agree with indices', () => {
  const arbitrary = fc
    .array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 })
    .chain((sizes) =>
      fc.tuple(fc.constant(sizes), fc.shuffledSubarray([...sizes.keys()], { minLength: sizes.length })),
    );
  fc.assert(
    fc.property(arbitrary, ([sizes, order]) => {
      const count = sizes.reduce((n, s) => n * s, 1);
      const source = Tensor.from(
        Int32Array.from({ length: count }, (_, i) => i),
        sizes,
      );
      const permuted = source.permute(order);
      const expected = Array.from({ length: count }, (_, i) => {
        let rest = i;
        let at = 0;
        for (let d = order.length - 1; d >= 0; d--) {
          const extent = permuted.shape[d] ?? 1;
          at += (rest % extent) * (permuted.strides[d] ?? 0);
          rest = Math.floor(rest / extent);
        }
        return at;
      });
      expect([...permuted.contiguous().data]).toEqual(expected);
      expect([...permuted.reshape([-1]).data]).toEqual(expected);
      expect([...permuted.to('float64').data]).toEqual(expected);
    }),
    { numRuns },
  );
});

const constructors: [string, fc.Arbitrary<unknown[]>, Loose][] = [
  [
    'TokenLearner',
    fc.tuple(options(['dim', 'ffMult', 'numOutputTokens', 'numLayers', 'engine', 'intraOpThreads', 'dtype'])),
    (o) => new TokenLearner(o as never),
  ],
  [
    'Linear',
    fc.tuple(junk, junk, options(['bias', 'dtype'])),
    (...a) => new Linear(...(a as [never, never, never])),
  ],
  [
    'Conv2d',
    fc.tuple(junk, junk, junk, options(['stride', 'padding', 'dilation', 'groups', 'bias'])),
    (...a) => new Conv2d(...(a as [never, never, never, never])),
  ],
  [
    'MaxPool2d',
    fc.tuple(junk, options(['stride', 'padding', 'dilation', 'ceilMode'])),
    (...a) => new MaxPool2d(...(a as [never, never])),
  ],
  [
    'LayerNorm',
    fc.tuple(junk, options(['eps', 'elementwiseAffine'])),
    (...a) => new LayerNorm(...(a as [never, never])),
  ],
  ['Flatten', fc.tuple(junk, junk), (...a) => new Flatten(...(a as [never, never]))],
  ['GELU', fc.tuple(options(['approximate'])), (o) => new GELU(o as never)],
  ['Sequential', fc.tuple(junk), (m) => new Sequential(m as never)],
  [
    'manualSeed',
    fc.tuple(junk),
    (seed) => {
      manualSeed(seed as never);
    },
  ],
];

test.each(constructors)('%s: any arguments', (_, args, make) => {
  fc.assert(
    fc.property(args, (given) => {
      const made = attempt(() => make(...given));
      if (made !== undefined) (made as Module).dispose();
    }),
    { numRuns },
  );
});

const modules: [string, fc.Arbitrary<Module>][] = [
  [
    'TokenLearner',
    fc
      .record({
        dim: fc.integer({ min: 1, max: 4 }),
        ffMult: fc.integer({ min: 1, max: 3 }),
        numOutputTokens: fc.integer({ min: 1, max: 4 }),
        numLayers: fc.integer({ min: 1, max: 3 }),
      })
      .map((config) => new TokenLearner(config)),
  ],
  [
    'Conv2d',
    fc
      .tuple(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 3 }),
        fc.record({
          stride: fc.integer({ min: 1, max: 3 }),
          padding: fc.integer({ min: 0, max: 3 }),
          dilation: fc.integer({ min: 1, max: 3 }),
        }),
      )
      .map(([channels, kernel, rest]) => new Conv2d(channels, 2, kernel, rest)),
  ],
  [
    'MaxPool2d',
    fc
      .tuple(
        fc.integer({ min: 2, max: 3 }),
        fc.record({
          stride: fc.integer({ min: 1, max: 3 }),
          padding: fc.integer({ min: 0, max: 1 }),
          dilation: fc.integer({ min: 1, max: 3 }),
          ceilMode: fc.boolean(),
        }),
      )
      .map(([kernel, rest]) => new MaxPool2d(kernel, rest)),
  ],
  ['Linear', fc.integer({ min: 1, max: 4 }).map((inputs) => new Linear(inputs, 3))],
  ['LayerNorm', fc.integer({ min: 1, max: 4 }).map((last) => new LayerNorm(last))],
  [
    'Flatten',
    fc
      .tuple(fc.integer({ min: -5, max: 5 }), fc.integer({ min: -5, max: 5 }))
      .map(([a, b]) => new Flatten(a, b)),
  ],
  ['ReLU', fc.constant(null).map(() => new ReLU())],
];

const real = (input: AnyTensor): { input: AnyTensor; isReal: boolean } => ({ input, isReal: true });
const fake = (input: unknown): { input: AnyTensor; isReal: boolean } => ({
  input: input as AnyTensor,
  isReal: false,
});

test.each(modules)('%s: an input of any shape and dtype', async (_, module) => {
  await fc.assert(
    fc.asyncProperty(module, fc.oneof(tensor.map(real), junk.map(fake)), async (model, { input, isReal }) => {
      const output = attempt(() => model.forwardSync(input) as Tensor);
      let same: Tensor | undefined;
      try {
        const result: unknown = await model.forward(input);
        same = result as Tensor;
      } catch (error) {
        expect(error).toBeInstanceOf(TokenLearnerError);
      }
      expect(same?.data).toEqual(output?.data);
      // The output has the shape of outputShape. Native code never throws its own error.
      if (isReal && input.dtype === 'float32') {
        expect(output?.shape).toEqual(attempt(() => model.outputShape(input.shape)));
      }
      model.dispose();
    }),
    { numRuns },
  );
});

test('state dicts: anything under any key', () => {
  const model = new TokenLearner({ dim: 2 });
  const keys = [...Object.keys(model.stateDict()), 'extra', '__proto__'];
  const dict = fc.oneof(fc.dictionary(fc.constantFrom(...keys), fc.oneof(tensor, junk)), junk);
  fc.assert(
    fc.property(dict, options(['strict']), (given, loose) => {
      attempt(() => model.loadStateDict(given as never, loose as never));
      attempt(() => {
        TokenLearner.fromStateDict(given as never).dispose();
      });
    }),
    { numRuns },
  );
});
