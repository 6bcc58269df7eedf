import { getEventListeners } from 'node:events';
import { Linear, runtime, Sequential, Tensor, TokenLearner } from '../../../lib';
import { expectReject, expectThrow } from '../formats/support';

// One large forward takes tens of milliseconds, so later ones wait.
const model = new TokenLearner({ dim: 64, device: 'cpu', intraOpThreads: 1 });
const large = Tensor.randn([8, 64, 64, 64]);
const small = Tensor.randn([1, 64, 32, 32]);

afterEach(() => {
  runtime.configure({ maxQueueSize: Infinity, maxQueueBytes: Infinity });
});

describe('signal', () => {
  test('a waiting forward leaves the queue and rejects with the reason, of any type', async () => {
    for (const reason of [new Error('mine'), 'a word', undefined]) {
      const controller = new AbortController();
      const before = model.forward(large);
      const waiting = model.forward(small, { signal: controller.signal });
      const after = model.forward(small);
      controller.abort(reason);
      await expect(waiting).rejects.toBe(controller.signal.reason);
      expect((await before).shape).toEqual([8, 64, 8]);
      expect((await after).shape).toEqual([1, 64, 8]);
    }
  });

  test('a running forward rejects at once; its results are dropped and later ones run', async () => {
    const before = runtime.memory().liveTensors;
    let reason: unknown;
    // Again where a pause of this process let the forward finish before it was aborted.
    while (reason === undefined) {
      const controller = new AbortController();
      const running = model.forward(large, { signal: controller.signal });
      await new Promise((resolve) => setTimeout(resolve, 5));
      controller.abort();
      reason = await running.then(
        (output) => {
          output.dispose();
        },
        (error: unknown) => error,
      );
    }
    expect(reason).toMatchObject({ name: 'AbortError' });
    await model.forward(small).then((output) => {
      output.dispose();
    });
    // Tensors of earlier tests may be collected meanwhile.
    expect(runtime.memory().liveTensors).toBeLessThanOrEqual(before);
  });

  test('an aborted signal starts nothing; a signal that is never aborted keeps no listener', async () => {
    const reason = new Error('early');
    await expect(model.forward(small, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const { signal } = new AbortController();
    await model.forward(small, { signal });
    await expectReject(
      model.forward(Tensor.zeros([1]) as never, { signal }),
      'ERR_SHAPE_MISMATCH',
      '3 dimensions',
    );
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('many forwards share one listener of a signal', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const forwards = Array.from({ length: 20 }, () => model.forward(large, { signal }));
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    controller.abort(new Error('all'));
    for (const each of forwards) await expect(each).rejects.toThrow('all');
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('a signal that takes no listener is an error, and starts nothing', async () => {
    const signal = {
      aborted: false,
      addEventListener: () => {
        throw new Error('no listener');
      },
      removeEventListener: () => undefined,
    };
    await expect(model.forward(large, { signal, timeoutMs: 1 })).rejects.toThrow('no listener');
  });

  test('works for every module', async () => {
    const signal = AbortSignal.abort(new Error('early'));
    const linear = new Linear(2, 2, { device: 'cpu' });
    const input = Tensor.ones([2]);
    await expect(linear.forward(input, { signal })).rejects.toThrow('early');
    await expect(new Sequential(linear).forward(input, { signal })).rejects.toThrow('early');
    expect(
      (await linear.forward(input, { signal: new AbortController().signal, timeoutMs: 10_000 })).shape,
    ).toEqual([2]);
  });
});

describe('timeoutMs', () => {
  test('a forward that waits too long rejects with ERR_TIMEOUT while the one before it still runs', async () => {
    // Many, so that a pause of this process does not let them all finish first.
    let isRunning = true;
    const before = Array.from({ length: 20 }, () => model.forward(large));
    const last = Promise.all(before).then(() => (isRunning = false));
    await expectReject(model.forward(small, { timeoutMs: 1 }), 'ERR_TIMEOUT', 'did not finish within');
    expect(isRunning).toBe(true);
    await last;
  });

  test('a forward with enough time finishes, and keeps no timer', async () => {
    expect((await model.forward(small, { timeoutMs: 2 ** 31 - 1 })).shape).toEqual([1, 64, 8]);
  });
});

test('an abort in one copy of the package cancels nothing in another', async () => {
  let other = model;
  let otherSmall = small;
  jest.isolateModules(() => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const copy = require('../../../lib') as typeof import('../../../lib');
    expect(copy.Tensor).not.toBe(Tensor);
    other = new copy.TokenLearner({ dim: 64, device: 'cpu' });
    otherSmall = copy.Tensor.randn([1, 64, 32, 32]);
  });
  const what = 'of another copy of tokenlearner in this process: install and load it once';
  await expectReject(model.forward(otherSmall), 'ERR_INVALID_ARG_TYPE', `received a tensor ${what}`);
  expectThrow(() => new Sequential(other), 'ERR_INVALID_ARG_TYPE', `received a module ${what}`);
  const before = Array.from({ length: 5 }, () => model.forward(large));
  const controllers = Array.from({ length: 20 }, () => new AbortController());
  const aborted = controllers.map(({ signal }) => other.forward(otherSmall, { signal }));
  const others = controllers.map(() => model.forward(small, { timeoutMs: 2 ** 31 - 1 }));
  for (const controller of controllers) controller.abort(new Error('mine'));
  for (const each of aborted) await expect(each).rejects.toThrow('mine');
  for (const each of await Promise.all([...others, ...before])) each.dispose();
});

/** The codes of forwards of `large` that are all submitted at once; 'done' for those that finish. */
async function codesOf(count: number): Promise<unknown[]> {
  const settled = await Promise.allSettled(Array.from({ length: count }, () => model.forward(large)));
  return settled.map((each) =>
    each.status === 'fulfilled' ? 'done' : (each.reason as { code: string }).code,
  );
}

// A pause of this process may let some finish meanwhile. The tests of the executor have the exact numbers.
describe('maxQueueSize', () => {
  test.each([
    ['maxQueueSize', 2],
    ['maxQueueBytes', 2 * large.numel * 4],
  ])('%s: too many waiting forwards reject with ERR_QUEUE_FULL; the others finish', async (name, limit) => {
    runtime.configure({ [name]: limit });
    const codes = await codesOf(10);
    expect(new Set(codes)).toEqual(new Set(['done', 'ERR_QUEUE_FULL']));
    // One runs and two wait.
    expect(codes.filter((code) => code === 'done').length).toBeGreaterThanOrEqual(3);
    expect((await model.forward(small)).shape).toEqual([1, 64, 8]);
  });

  test('with 0 nothing waits, and forwards one after the other run', async () => {
    runtime.configure({ maxQueueSize: 0 });
    for (let i = 0; i < 20; i += 1) expect((await model.forward(small)).shape).toEqual([1, 64, 8]);
    expect(new Set(await codesOf(10))).toEqual(new Set(['done', 'ERR_QUEUE_FULL']));
  });

  test.each([
    ['maxQueueBytes', -1, 'ERR_OUT_OF_RANGE'],
    ['maxQueueBytes', '1', 'ERR_INVALID_ARG_TYPE'],
    ['maxQueueSize', 1.5, 'ERR_OUT_OF_RANGE'],
  ] as const)('%s: %p is refused', (name, value, code) => {
    expectThrow(
      () => {
        runtime.configure({ [name]: value });
      },
      code,
      `options.${name}`,
    );
  });

  test('a cancelled forward leaves its place in the queue', async () => {
    const controller = new AbortController();
    const running = model.forward(large);
    await new Promise((resolve) => setTimeout(resolve, 5));
    runtime.configure({ maxQueueSize: 1 });
    const waiting = model.forward(large, { signal: controller.signal });
    controller.abort();
    const next = model.forward(small);
    await expect(waiting).rejects.toThrow('aborted');
    expect((await next).shape).toEqual([1, 64, 8]);
    await running;
  });
});

test.each([
  ['signal', {}, 'ERR_INVALID_ARG_TYPE'],
  ['signal', 'abort', 'ERR_INVALID_ARG_TYPE'],
  ['signal', null, 'ERR_INVALID_ARG_TYPE'],
  ['timeoutMs', '1', 'ERR_INVALID_ARG_TYPE'],
  ['timeoutMs', -1, 'ERR_OUT_OF_RANGE'],
  ['timeoutMs', NaN, 'ERR_OUT_OF_RANGE'],
  ['timeoutMs', 2 ** 31, 'ERR_OUT_OF_RANGE'],
] as const)('%s: %p is refused', async (name, value, code) => {
  await expectReject(model.forward(small, { [name]: value } as never), code, `options.${name}`);
});

test('a synchronous forward refuses signal and timeoutMs', () => {
  for (const options of [{ signal: new AbortController().signal }, { timeoutMs: 1 }]) {
    expect(() => model.forwardSync(small, options as never)).toThrow('Expected only the options');
  }
});
