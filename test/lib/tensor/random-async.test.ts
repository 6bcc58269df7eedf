import { manualSeed, runtime, Tensor } from '../../../lib';
import type { FloatDType } from '../../../lib';
import { expectError, expectReject } from '../formats/support';

const DTYPES: FloatDType[] = ['float32', 'float64', 'float16', 'bfloat16'];

type Arguments = [shape: number[], options?: { dtype: FloatDType }];
type Forms = [
  (...args: Arguments) => Tensor<FloatDType>,
  (...args: Arguments) => Promise<Tensor<FloatDType>>,
];

const FORMS: Forms[] = [
  [(...args) => Tensor.randn(...args), (...args) => Tensor.randnAsync(...args)],
  [(...args) => Tensor.rand(...args), (...args) => Tensor.randAsync(...args)],
];

afterEach(() => {
  runtime.configure({ maxQueueSize: Infinity });
});

test.each(DTYPES)(
  '%s: the numbers of the synchronous form, and later draws go on from there',
  async (dtype) => {
    for (const count of [0, 1, 2, 15, 16, 17, 31, 32, 1000, 4099]) {
      for (const [draw, drawAsync] of FORMS) {
        manualSeed(count);
        Tensor.randn([3], { dtype: 'float64' });
        const expected = [draw([count], { dtype }), Tensor.randn([3]), Tensor.rand([5])];
        manualSeed(count);
        Tensor.randn([3], { dtype: 'float64' });
        const pending = drawAsync([count], { dtype });
        const after = [Tensor.randn([3]), Tensor.rand([5])];
        const made = await pending;
        expect(made.dtype).toBe(dtype);
        [made, ...after].forEach((tensor, i) => {
          expect(tensor.equals(expected[i] as Tensor)).toBe(true);
        });
      }
    }
  },
);

test('16-bit uniform numbers are never 1', async () => {
  manualSeed(1);
  const drawn = await Tensor.randAsync([100_000], { dtype: 'bfloat16' });
  const numbers = drawn.float().toArray() as number[];
  expect(Math.max(...numbers.slice(0, 50_000), ...numbers.slice(50_000))).toBeLessThan(1);
});

test('several at once are drawn in the order of their calls', async () => {
  manualSeed(7);
  const expected = [Tensor.randn([2, 50]), Tensor.rand([3, 7]), Tensor.randn([20])];
  manualSeed(7);
  const drawn = await Promise.all([
    Tensor.randnAsync([2, 50]),
    Tensor.randAsync([3, 7]),
    Tensor.randnAsync([20], { pinned: true }),
  ]);
  expect(drawn.map(({ shape }) => shape)).toEqual(expected.map(({ shape }) => shape));
  drawn.forEach((tensor, i) => {
    expect(tensor.toArray()).toEqual(expected[i]?.toArray());
  });
});

test('wrong arguments reject, and draw nothing', async () => {
  manualSeed(3);
  const expected = Tensor.randn([20]);
  manualSeed(3);
  // @ts-expect-error -- the types say so too
  await expectReject(Tensor.randnAsync([2], { dtype: 'int32' }), 'ERR_INVALID_ARG_VALUE', 'options.dtype');
  await expectReject(Tensor.randnAsync([-1]), 'ERR_OUT_OF_RANGE', 'shape');
  await expectReject(Tensor.randnAsync([2 ** 40, 2 ** 40]), 'ERR_OUT_OF_RANGE', 'shape');
  expect((await Tensor.randnAsync([20])).equals(expected)).toBe(true);
});

test('what a full queue refuses draws nothing', async () => {
  runtime.configure({ maxQueueSize: 1 });
  manualSeed(5);
  const settled = await Promise.allSettled(Array.from({ length: 20 }, () => Tensor.randnAsync([100_000])));
  const drawn = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  expect(drawn.length).toBeGreaterThan(0);
  expect(drawn.length).toBeLessThan(20);
  for (const each of settled)
    if (each.status === 'rejected') expectError(each.reason, 'ERR_QUEUE_FULL', /queue/i);
  manualSeed(5);
  for (const tensor of drawn) expect(tensor.equals(Tensor.randn([100_000]))).toBe(true);
});
