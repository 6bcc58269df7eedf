import {
  Flatten,
  Linear,
  Sequential,
  Tensor,
  TokenLearnerV10,
  type TokenLearnerV10Options,
} from '../../../lib';
import { expectReject, expectThrow } from '../formats/support';

const cpu = (options: Omit<TokenLearnerV10Options, 'device'>): TokenLearnerV10 =>
  new TokenLearnerV10({ ...options, device: 'cpu' });

test('defaults are the official ones', () => {
  expect(cpu({ dim: 12 })).toMatchObject({
    dim: 12,
    numOutputTokens: 8,
    pooling: 'sum',
    eps: 1e-6,
    approximate: 'tanh',
    dtype: 'float32',
  });
});

test('reads like PyTorch’s', () => {
  expect(String(cpu({ dim: 12, numOutputTokens: 3, approximate: 'none' }))).toBe(
    `TokenLearnerV10(
  (norm): LayerNorm((12,), eps=1e-06, elementwise_affine=True, bias=True)
  (attention): Sequential(
    (0): Conv2d(12, 3, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
    (1): GELU(approximate='none')
    (2): Conv2d(3, 3, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
    (3): GELU(approximate='none')
    (4): Conv2d(3, 3, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
    (5): GELU(approximate='none')
    (6): Conv2d(3, 3, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
  )
)`,
  );
});

test('parameters, as the official code draws them', () => {
  const dict = cpu({ dim: 64, numOutputTokens: 4 }).stateDict();
  expect(Object.entries(dict).map(([name, { shape }]) => [name, shape])).toEqual([
    ['norm.weight', [64]],
    ['norm.bias', [64]],
    ['attention.0.weight', [4, 64, 3, 3]],
    ['attention.2.weight', [4, 4, 3, 3]],
    ['attention.4.weight', [4, 4, 3, 3]],
    ['attention.6.weight', [4, 4, 3, 3]],
  ]);
  const numbers = [...(dict['attention.0.weight']?.to('float32').data ?? [])];
  const deviation = Math.sqrt(numbers.reduce((sum, value) => sum + value * value, 0) / numbers.length);
  expect(deviation * Math.sqrt(64 * 9)).toBeGreaterThan(0.9);
  expect(deviation * Math.sqrt(64 * 9)).toBeLessThan(1.1);
});

test('the mean is the sum over the number of pixels', () => {
  const [sum, mean] = [cpu({ dim: 6 }), cpu({ dim: 6, pooling: 'mean' })];
  mean.loadStateDict(sum.stateDict());
  const x = Tensor.randn([2, 6, 4, 8]);
  const expected = sum.forwardSync(x).data.map((value) => value / 32);
  expect([...mean.forwardSync(x).data]).toEqual([...expected]);
});

test('misuse', async () => {
  const learner = cpu({ dim: 6 });
  const x = Tensor.ones([6, 3, 4]);
  await expectReject(learner.forward(Tensor.ones([5, 3, 4])), 'ERR_SHAPE_MISMATCH', '6 channels');
  await expectReject(learner.forward(Tensor.ones([6, 0, 4])), 'ERR_SHAPE_MISMATCH', 'at least one pixel');
  const flat = { inputLayout: 'channels-last', pixels: 'flat' } as never;
  await expectReject(learner.forward(Tensor.ones([12, 6]), flat), 'ERR_INVALID_ARG_VALUE', "'pixels'");
  expectThrow(() => cpu({ dim: 6, allowTf32: 1 as never }), 'ERR_INVALID_ARG_TYPE', 'options.allowTf32');
  expectThrow(() => cpu({ dim: 6, pooling: 'max' as never }), 'ERR_INVALID_ARG_VALUE', "'mean'");
  expectThrow(() => cpu({ dim: 6, bottleneckDim: 4 } as never), 'ERR_INVALID_ARG_VALUE', 'bottleneckDim');
  expectThrow(() => TokenLearnerV10.fromStateDict({ 'norm.weight': x }), 'ERR_STATE_DICT', 'TokenLearnerV10');
});

test('a step of a Sequential', async () => {
  const model = new Sequential(cpu({ dim: 6, numOutputTokens: 2 }), new Flatten(), new Linear(12, 3));
  const y = await model.forward(Tensor.randn([2, 6, 5, 4]));
  expect(y.shape).toEqual([2, 3]);
});

test('a batch of none', () => {
  expect(cpu({ dim: 6 }).forwardSync(Tensor.ones([0, 6, 3, 4])).shape).toEqual([0, 6, 8]);
});
