import {
  Batcher,
  type BatcherOptions,
  Conv2d,
  Flatten,
  GELU,
  LayerNorm,
  Linear,
  manualSeed,
  MaxPool2d,
  Module,
  ReLU,
  Sequential,
  Tensor,
  TokenLearner,
  TokenLearnerV11,
} from '../../../lib';
import { at, elementsOf, type TensorModule } from '../support';
import { hold, images } from './support';

async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'fulfilled',
    (error: unknown) => (error as { code?: unknown }).code,
  );
}

function learner(options: object = {}): TokenLearner {
  return new TokenLearner({ dim: 16, numOutputTokens: 4, ...options });
}

beforeAll(() => {
  manualSeed(3);
});

test.each(['float32', 'float64', 'float16', 'bfloat16'] as const)(
  'images of any sizes and layouts share a batch and give the bits of forward, in %s',
  async (dtype) => {
    const model = learner({ dtype });
    const inputs = images(30).map((x, i) => {
      const typed = x.to(dtype);
      return i % 4 === 1 && typed.shape.length === 4 ? typed.transpose(2, 3) : typed;
    });
    const batcher = new Batcher(model);
    hold(batcher, inputs.length);
    const outputs = await Promise.all(inputs.map((x) => batcher.forward(x)));
    outputs.forEach((y, i) => {
      const alone = model.forwardSync(at(inputs, i));
      expect(y.shape).toEqual(alone.shape);
      expect(elementsOf(y)).toEqual(elementsOf(alone));
    });
    expect(batcher.stats()).toMatchObject({ batches: 1, succeeded: 30, queued: 0, running: 0 });
  },
);

test('options reach the module, and requests with other options are other batches', async () => {
  const model = learner();
  const batcher = new Batcher(model);
  const x = Tensor.randn([2, 16, 3, 4]);
  hold(batcher, 4);
  const [plain, first, maps] = await Promise.all([
    batcher.forward(x),
    batcher.forward(x, { layout: 'tokens-first' }),
    batcher.forward(x, { returnAttention: true }),
    batcher.forward(Tensor.randn([16, 5, 5])),
  ]);
  const alone = model.forwardSync(x, { returnAttention: true });
  expect(elementsOf(plain)).toEqual(elementsOf(alone.tokens));
  expect(elementsOf(first)).toEqual(elementsOf(model.forwardSync(x, { layout: 'tokens-first' })));
  expect(elementsOf(maps.attention)).toEqual(elementsOf(alone.attention));
  expect(batcher.stats().batches).toBe(3);
});

test('an input in JavaScript memory is copied during the call; native memory is not', async () => {
  const model = learner();
  const batcher = new Batcher(model);
  const data = new Float32Array(16 * 12).fill(0.5);
  const expected = elementsOf(model.forwardSync(Tensor.from(data.slice(), [16, 3, 4])));
  hold(batcher, 1 + 1);
  const pending = batcher.forward(Tensor.from(data, [16, 3, 4]));
  data.fill(7);
  const disposed = Tensor.full([16, 3, 4], 0.5);
  const other = batcher.forward(disposed);
  disposed.dispose();
  expect(elementsOf(await pending)).toEqual(expected);
  expect(elementsOf(await other)).toEqual(expected);
});

test('a request keeps the parameters of its call', async () => {
  const [model, other] = [learner(), learner()];
  const batcher = new Batcher(model);
  const x = Tensor.randn([1, 16, 4, 4]);
  const before = elementsOf(model.forwardSync(x));
  hold(batcher, 2);
  const old = batcher.forward(x);
  model.loadStateDict(other.stateDict());
  const fresh = batcher.forward(x);
  expect(elementsOf(await old)).toEqual(before);
  expect(elementsOf(await fresh)).toEqual(elementsOf(other.forwardSync(x)));
  expect(batcher.stats().batches).toBe(2);
});

const close = (a: Tensor, b: Tensor): number =>
  Math.max(...elementsOf(a).map((value, i) => Math.abs(Number(value) - Number(elementsOf(b)[i]))));

test.each<[string, () => TensorModule, number[], number]>([
  ['Linear', () => new Linear(12, 5), [2, 3, 12], 1e-6],
  ['ReLU', () => new ReLU(), [3, 5], 0],
  ['GELU', () => new GELU(), [3, 5], 1e-6],
  ['Flatten', () => new Flatten(), [2, 3, 4], 0],
  ['LayerNorm', () => new LayerNorm(12), [2, 3, 12], 0],
  ['MaxPool2d', () => new MaxPool2d(2), [2, 3, 8, 8], 0],
  ['Conv2d', () => new Conv2d(3, 4, 3), [2, 3, 8, 8], 1e-6],
  [
    'TokenLearnerV11 on libtorch',
    () => new TokenLearnerV11({ dim: 16, engine: 'libtorch' }),
    [2, 16, 5, 5],
    1e-6,
  ],
  ['grouped-conv', () => learner({ engine: 'grouped-conv' }), [2, 16, 5, 5], 1e-6],
  [
    'Sequential',
    () => new Sequential(learner(), new Flatten(), new Linear(64, 5), new ReLU()),
    [2, 16, 5, 5],
    1e-6,
  ],
])('%s joins requests of one shape along axis 0', async (_, make, shape, tolerance) => {
  const model = make();
  const batcher = new Batcher(model);
  const inputs = [1, 2, 3, 1].map((n) => Tensor.randn([n, ...shape.slice(1)]));
  hold(batcher, inputs.length);
  const outputs = await Promise.all(inputs.map((x) => batcher.forward(x)));
  outputs.forEach((y, i) => {
    const alone = model.forwardSync(at(inputs, i));
    expect(y.shape).toEqual(alone.shape);
    expect(close(y, alone)).toBeLessThanOrEqual(tolerance);
    // Results have memory of their own.
    y.data.fill(0);
  });
  expect(batcher.stats().batches).toBe(1);
});

test('a Sequential that begins with a TokenLearner takes images of different sizes in one batch', async () => {
  const model = new Sequential(learner(), new Flatten(), new Linear(64, 5));
  const batcher = new Batcher(model);
  const inputs = [3, 4, 5, 9].map((size) => Tensor.randn([1, 16, size, size]));
  hold(batcher, inputs.length);
  const outputs = await Promise.all(inputs.map((x) => batcher.forward(x)));
  outputs.forEach((y, i) => {
    expect(close(y, model.forwardSync(at(inputs, i)))).toBeLessThan(1e-6);
  });
  expect(batcher.stats().batches).toBe(1);
});

test('inputs that cannot be joined run alone', async () => {
  const batcher = new Batcher(new Linear(12, 5));
  hold(batcher, 2);
  const outputs = await Promise.all([batcher.forward(Tensor.ones([12])), batcher.forward(Tensor.ones([12]))]);
  expect(outputs.map((y) => y.shape)).toEqual([[5], [5]]);
  expect(batcher.stats().batches).toBe(2);
});

test('a batch has at most maxBatchSize images and maxBatchPixels pixels; a larger request runs alone', async () => {
  for (const [options, batches] of [
    [{ maxBatchSize: 4 }, 3],
    [{ maxBatchPixels: 64 }, 3],
    [{ maxBatchSize: Infinity }, 1],
  ] as const) {
    const batcher = new Batcher(learner(), options);
    hold(batcher, 9);
    await Promise.all([
      batcher.forward(Tensor.ones([9, 16, 4, 4])),
      ...Array.from({ length: 8 }, () => batcher.forward(Tensor.ones([16, 4, 4]))),
    ]);
    expect(batcher.stats()).toMatchObject({ batches, images: 17 });
  }
});

test('a full queue rejects at once with ERR_QUEUE_FULL, exactly at its limits', async () => {
  const bytes = 16 * 16 * 4;
  for (const options of [{ maxQueueSize: 3 }, { maxQueueBytes: 3 * bytes }]) {
    const batcher = new Batcher(learner(), options);
    hold(batcher, 100);
    const x = Tensor.ones([16, 4, 4]);
    const pending = Array.from({ length: 3 }, () => batcher.forward(x));
    expect(await codeOf(batcher.forward(x))).toBe('ERR_QUEUE_FULL');
    expect(batcher.stats()).toMatchObject({ queued: 3, queuedBytes: 3 * bytes, rejected: 1, requests: 4 });
    hold(batcher, 0);
    await Promise.all(pending);
    await batcher.forward(x);
    expect(batcher.stats()).toMatchObject({ queued: 0, succeeded: 4 });
  }
});

test('an aborted request leaves the queue and rejects with the reason', async () => {
  const batcher = new Batcher(learner());
  hold(batcher, 3);
  const x = Tensor.ones([16, 4, 4]);
  const controller = new AbortController();
  const reason = { mine: true };
  const aborted = batcher.forward(x, { signal: controller.signal });
  const kept = batcher.forward(x, { signal: new AbortController().signal });
  controller.abort(reason);
  await expect(aborted).rejects.toBe(reason);
  expect(batcher.stats()).toMatchObject({ queued: 1, cancelled: 1 });
  await expect(batcher.forward(x, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  hold(batcher, 0);
  expect((await kept).shape).toEqual([16, 4]);
});

test('a deadline rejects with ERR_TIMEOUT while nothing else happens', async () => {
  const batcher = new Batcher(learner(), { timeoutMs: 5 });
  hold(batcher, 100);
  const x = Tensor.ones([16, 4, 4]);
  const patient = batcher.forward(x, { timeoutMs: 100_000 });
  expect(await codeOf(batcher.forward(x))).toBe('ERR_TIMEOUT');
  expect(batcher.stats()).toMatchObject({ queued: 1, timedOut: 1 });
  hold(batcher, 0);
  await patient;
});

test.each([4, 64])('a deadline that has passed rejects, of a small input too: %i wide', async (size) => {
  const batcher = new Batcher(learner());
  const x = Tensor.ones([16, size, size]);
  // A small input is run when it is called.
  expect(await codeOf(batcher.forward(x, { timeoutMs: 0 }))).toBe('ERR_TIMEOUT');
  expect(batcher.stats()).toMatchObject({ requests: 1, succeeded: 0, timedOut: 1 });
  expect((await batcher.forward(x)).shape).toEqual([16, 4]);
});

test('close drains, or rejects what waits; then forward is ERR_CLOSED', async () => {
  const x = Tensor.ones([16, 4, 4]);
  const draining = new Batcher(learner(), { maxDelayMs: 100_000 });
  const pending = [draining.forward(x), draining.forward(x)];
  await draining.close();
  expect((await Promise.all(pending)).length).toBe(2);
  expect(await codeOf(draining.forward(x))).toBe('ERR_CLOSED');
  await draining.close();

  const dropping = new Batcher(learner());
  hold(dropping, 100);
  const waiting = codeOf(dropping.forward(x));
  await dropping.close({ drain: false });
  expect(await waiting).toBe('ERR_CLOSED');

  const disposed = new Batcher(learner());
  await disposed[Symbol.asyncDispose]();
  expect(await codeOf(disposed.forward(x))).toBe('ERR_CLOSED');
});

test('bad inputs and options reject, and the others go on', async () => {
  const batcher = new Batcher(learner(), { priorityLevels: 2 });
  hold(batcher, 2);
  const x = Tensor.ones([16, 4, 4]);
  const good = [batcher.forward(x), batcher.forward(x, { priority: 1 })];
  const bad = (input: unknown, options?: unknown): Promise<unknown> =>
    codeOf(batcher.forward(input as Tensor, options as never));
  expect(await bad(Tensor.ones([15, 4, 4]))).toBe('ERR_SHAPE_MISMATCH');
  expect(await bad(x.to('float64'))).toBe('ERR_DTYPE_MISMATCH');
  expect(await bad([1])).toBe('ERR_INVALID_ARG_TYPE');
  expect(await bad(x, { priority: 2 })).toBe('ERR_OUT_OF_RANGE');
  expect(await bad(x, { prio: 1 })).toBe('ERR_INVALID_ARG_VALUE');
  expect(await bad(x, 5)).toBe('ERR_INVALID_ARG_TYPE');
  expect(await bad(x, { signal: 1 })).toBe('ERR_INVALID_ARG_TYPE');
  await Promise.all(good);
  const linear = new Batcher(new Linear(4, 4));
  expect(await codeOf(linear.forward(Tensor.ones([1, 4]), { layout: 'tokens-first' }))).toBe(
    'ERR_INVALID_ARG_VALUE',
  );
});

test('the constructor refuses what it cannot serve', () => {
  class Own extends Module {
    override forward(x: Tensor): Promise<Tensor> {
      return Promise.resolve(x);
    }
  }
  const code = (model: unknown, options?: unknown): unknown => {
    try {
      return new Batcher(model as Module, options as BatcherOptions);
    } catch (error) {
      return (error as { code: unknown }).code;
    }
  };
  const model = learner();
  expect(code(new Own())).toBe('ERR_INVALID_ARG_VALUE');
  expect(code({})).toBe('ERR_INVALID_ARG_TYPE');
  expect(code(model, { maxBatchSize: 0 })).toBe('ERR_OUT_OF_RANGE');
  expect(code(model, { maxDelayMs: -1 })).toBe('ERR_OUT_OF_RANGE');
  expect(code(model, { maxDelayMs: 2 ** 31 })).toBe('ERR_OUT_OF_RANGE');
  expect(code(model, { batch: 1 })).toBe('ERR_INVALID_ARG_VALUE');
  expect(code(model, { devices: [] })).toBe('ERR_INVALID_ARG_TYPE');
  expect(code(model, { devices: ['cpu', 'cpu'] })).toBe('ERR_INVALID_ARG_VALUE');
  model.dispose();
  expect(code(model)).toBe('ERR_DISPOSED');
});

test('methods refuse another `this`, and a batcher cannot be cloned', async () => {
  const batcher = new Batcher(learner());
  // eslint-disable-next-line @typescript-eslint/unbound-method
  const { stats, close: end } = batcher;
  const other = {} as unknown as Batcher;
  expect(await codeOf(Promise.resolve().then(() => stats.call(other)))).toBe('ERR_INVALID_THIS');
  expect(await codeOf(end.call(other))).toBe('ERR_INVALID_THIS');
  expect(() => structuredClone(batcher)).toThrow(/Batcher/);
});

test('holes in devices, and an unknown option of a forward, are errors that name what may be there', async () => {
  // eslint-disable-next-line no-sparse-arrays
  expect(() => new Batcher(learner(), { devices: [, 'cpu'] as never })).toThrow(/options\.devices\[0\]/);
  const batcher = new Batcher(learner());
  const forward = batcher.forward(Tensor.randn([1, 16, 2, 2]), { layuot: 'channels-first' } as never);
  await expect(forward).rejects.toThrow(/timeoutMs, priority/);
});

test('the statistics of the device count requests that run at once', async () => {
  const batcher = new Batcher(learner());
  for (let i = 0; i < 3; i++) await batcher.forward(Tensor.randn([2, 16, 2, 2]));
  expect(batcher.stats()).toMatchObject({ batches: 3, devices: [{ device: 'cpu', batches: 3, images: 6 }] });
});

test('devices: a batcher on the CPU by name follows loadStateDict', async () => {
  const [model, other] = [learner(), learner()];
  const batcher = new Batcher(model, { devices: ['cpu'] });
  const x = Tensor.randn([1, 16, 4, 4]);
  expect(elementsOf(await batcher.forward(x))).toEqual(elementsOf(model.forwardSync(x)));
  model.loadStateDict(other.stateDict());
  expect(elementsOf(await batcher.forward(x))).toEqual(elementsOf(other.forwardSync(x)));
  expect(batcher.stats().devices).toMatchObject([{ device: 'cpu', batches: 2, lost: false }]);
});
