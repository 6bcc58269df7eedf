import { Worker } from 'node:worker_threads';
import path from 'node:path';
import { Linear, manualSeed, runtime, Tensor, TokenLearner } from '../../lib';
import type { ErrorCode } from '../../lib';
import { expectThrow } from './formats/support';

const before = runtime.info().threads;

afterAll(() => {
  runtime.setThreads(before);
});

test('setThreads is the limit of the engine and of libtorch, on every thread', async () => {
  const linear = new Linear(4, 4, { device: 'cpu' });
  for (const threads of [3, 1, 7]) {
    runtime.setThreads(threads);
    await linear.forward(Tensor.ones([1, 4]));
    expect(runtime.info()).toMatchObject({ threads, threadsReason: 'setThreads', libtorch: { threads } });
  }
});

test.each<[unknown, ErrorCode]>([
  [undefined, 'ERR_INVALID_ARG_TYPE'],
  ['2', 'ERR_INVALID_ARG_TYPE'],
  [2n, 'ERR_INVALID_ARG_TYPE'],
  [0, 'ERR_OUT_OF_RANGE'],
  [-1, 'ERR_OUT_OF_RANGE'],
  [1.5, 'ERR_OUT_OF_RANGE'],
  [NaN, 'ERR_OUT_OF_RANGE'],
  [Infinity, 'ERR_OUT_OF_RANGE'],
  [1025, 'ERR_OUT_OF_RANGE'],
])('setThreads(%p) is refused and changes nothing', (threads, code) => {
  runtime.setThreads(2);
  expectThrow(
    () => {
      runtime.setThreads(threads as number);
    },
    code,
    'an integer from 1 to 1024',
  );
  expect(runtime.info().threads).toBe(2);
});

test('the fused engine gives the same bits for every number of threads, also while it changes', async () => {
  manualSeed(3);
  const model = new TokenLearner({ dim: 48, device: 'cpu' });
  const x = Tensor.randn([3, 48, 23, 19]);
  runtime.setThreads(1);
  const expected = model.forwardSync(x, { returnAttention: true });
  for (const threads of [2, 3, 5, 16]) {
    runtime.setThreads(threads);
    const { tokens, attention } = await model.forward(x, { returnAttention: true });
    expect(tokens.equals(expected.tokens)).toBe(true);
    expect(attention.equals(expected.attention)).toBe(true);
  }
  const running = Array.from({ length: 40 }, (_, i) => {
    runtime.setThreads(1 + ((i * 7) % 5));
    return model.forward(x);
  });
  for (const tokens of await Promise.all(running)) expect(tokens.equals(expected.tokens)).toBe(true);
});

test('a worker sets the limit of the whole process', async () => {
  runtime.setThreads(2);
  const dist = path.join(__dirname, '..', '..', 'dist');
  const code = `require(${JSON.stringify(dist)}).runtime.setThreads(5)`;
  const worker = new Worker(code, { eval: true });
  await new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject));
  expect(runtime.info().threads).toBe(5);
});
