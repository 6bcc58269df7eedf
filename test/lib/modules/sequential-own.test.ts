/** A Sequential with modules of users: classes and objects whose own forward must be called. */
import { Flatten, Module, ReLU, runtime, Sequential, Tensor } from '../../../lib';
import { submit } from '../../../lib/modules/run';
import { expectReject, expectThrow } from '../formats/support';
import { Add, collectGarbage, own, times, values, x } from './support';

jest.mock('../../../lib/modules/run', () => {
  const actual = jest.requireActual<typeof import('../../../lib/modules/run')>('../../../lib/modules/run');
  return { ...actual, submit: jest.fn(actual.submit) };
});

/** The native requests of some work. */
async function requestsOf(work: () => Promise<unknown>): Promise<Parameters<typeof submit>[]> {
  const { mock } = jest.mocked(submit);
  const before = mock.calls.length;
  await work();
  return mock.calls.slice(before);
}

test('a module of one’s own is a step, and its neighbours are native requests', async () => {
  const model = new Sequential(times(2), times(3), new Add(1), times(10), new ReLU());
  expect(await requestsOf(() => model.forward(x()))).toHaveLength(2);
  expect(values(await model.forward(x()))).toEqual([70, 70]);
  expect(values(model.forwardSync(x()))).toEqual([70, 70]);
  expect(model.outputShape([2])).toEqual([2]);
});

test('modules of this package alone are one request', async () => {
  const model = new Sequential(times(2), new Sequential(times(3), new ReLU()));
  expect(await requestsOf(() => model.forward(x()))).toHaveLength(1);
});

test('nested Sequentials call it too', async () => {
  const model = new Sequential(times(2), new Sequential(new Sequential(new Add(1)), times(3)), new Add(0.5));
  expect(values(await model.forward(x()))).toEqual([9.5, 9.5]);
  expect(values(model.forwardSync(x()))).toEqual([9.5, 9.5]);
});

test('a forward that waits in a module of one’s own finishes, though a module after it is replaced and its graph is freed', async () => {
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  class Gate extends Module {
    override async forward(input: Tensor): Promise<Tensor> {
      await gate;
      return input;
    }
  }
  await collectGarbage();
  const before = runtime.memory().liveLayers;
  const model = new Sequential(times(2), new Gate(), times(3));
  const first = model.forward(x());
  const other = times(5);
  const old = model.at(2);
  model.registerModule('2', other);
  const second = model.forward(x());
  open();
  expect(values(await second)).toEqual([10, 10]);
  expect(values(await first)).toEqual([6, 6]);
  model.dispose();
  old?.dispose();
  expect(runtime.memory().liveLayers).toBe(before);
});

test('a method that is replaced later is called, and no longer once it is put back', async () => {
  const relu = new ReLU();
  const model = new Sequential(new Sequential(relu), times(2));
  expect(values(await model.forward(x(-1)))).toEqual([0, 0]);
  relu.forward = (input) => Promise.resolve(input);
  expect(values(await model.forward(x(-1)))).toEqual([-2, -2]);
  expectThrow(() => model.forwardSync(x()), 'ERR_NOT_IMPLEMENTED', 'ReLU has a forward of its own');
  Reflect.deleteProperty(relu, 'forward');
  expect(values(await model.forward(x(-1)))).toEqual([0, 0]);
  const before = runtime.memory().liveLayers;
  relu.forward = (input) => Promise.resolve(input);
  await model.forward(x());
  Reflect.deleteProperty(relu, 'forward');
  await model.forward(x());
  expect(runtime.memory().liveLayers).toBeLessThanOrEqual(before);
});

test('a module that is assigned to it is appended, or replaces one, as in PyTorch', async () => {
  const model = new Sequential(times(2)) as Sequential & Record<string, Module>;
  model.last = times(5);
  expect([model.length, model.at(-1)]).toEqual([2, model.last]);
  expect(Object.keys(model.stateDict())).toEqual(['0.weight', 'last.weight']);
  expect(values(await model.forward(x()))).toEqual([10, 10]);
  model.registerModule('end', new Add(1));
  model['0'] = times(3);
  expect(values(await model.forward(x()))).toEqual([16, 16]);
  expect(values(model.forwardSync(x()))).toEqual([16, 16]);
  model.self = model;
  await expectReject(model.forward(x()), 'ERR_INVALID_ARG_VALUE', 'The Sequential contains itself');
});

describe('what a module of one’s own returns', () => {
  test.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /received undefined/],
    ['an object', { tokens: x() }, /received an object/],
    ['an array', [1, 2], /of type array/],
  ])('%s is refused', async (_, result, message) => {
    const model = new Sequential(own(() => Promise.resolve(result)));
    await expectReject(model.forward(x()), 'ERR_INVALID_ARG_TYPE', message);
    await expectReject(model.forward(x()), 'ERR_INVALID_ARG_TYPE', '`the result of Own.forward`');
  });

  test('a disposed tensor, or one that does not fit the next module, is refused', async () => {
    const disposed = x();
    disposed.dispose();
    await expectReject(new Sequential(own(() => disposed)).forward(x()), 'ERR_DISPOSED', 'Own.forward');
    const wide = new Sequential(
      own(() => Tensor.ones([3])),
      times(1),
    );
    await expectReject(wide.forward(x()), 'ERR_SHAPE_MISMATCH', '(3,)');
    const wrong = new Sequential(
      own(() => Tensor.ones([2], { dtype: 'int32' })),
      times(1),
    );
    await expectReject(wrong.forward(x()), 'ERR_DTYPE_MISMATCH', 'int32');
  });

  test('a promise of forwardSync is refused', () => {
    class Async extends Module {
      override forwardSync(input: Tensor): Promise<Tensor> {
        return Promise.resolve(input);
      }
    }
    expectThrow(
      () => new Sequential(new Async()).forwardSync(x()),
      'ERR_INVALID_ARG_TYPE',
      'instance of Promise',
    );
  });
});

describe('errors', () => {
  test('of a user’s code pass unchanged', async () => {
    const error = new RangeError('mine');
    const late = new Sequential(own(() => Promise.reject(error)));
    const early = new Sequential(
      own(() => {
        throw error;
      }),
    );
    for (const model of [late, early]) {
      const reasons = await Promise.allSettled([model.forward(x()), model.forward(x(), { timeoutMs: 1000 })]);
      for (const each of reasons) expect((each as PromiseRejectedResult).reason).toBe(error);
    }
    class Bad extends Module {
      override forwardSync(): Tensor {
        throw error;
      }
    }
    expect(() => new Sequential(new Bad()).forwardSync(x())).toThrow(error);
  });

  test('a class without the method that is needed', async () => {
    class Lazy extends Module {}
    const model = new Sequential(new ReLU(), new Lazy());
    await expectReject(model.forward(x()), 'ERR_NOT_IMPLEMENTED', 'Lazy has no forward');
    expectThrow(() => model.forwardSync(x()), 'ERR_NOT_IMPLEMENTED', 'Lazy has no forwardSync');
    expectThrow(() => model.outputShape([2]), 'ERR_NOT_IMPLEMENTED', 'Lazy has no outputShape');
    const broken = Object.assign(new Lazy(), { forward: 3 }) as unknown as Module;
    await expectReject(new Sequential(broken).forward(x()), 'ERR_NOT_IMPLEMENTED', 'Lazy');
  });

  test('inputs and options are checked before anything runs', async () => {
    const add = new Add(1);
    const model = new Sequential(add, new ReLU());
    await expectReject(model.forward(undefined as never), 'ERR_INVALID_ARG_TYPE', '`input`');
    expectThrow(() => model.forwardSync({} as never), 'ERR_INVALID_ARG_TYPE', '`input`');
    await expectReject(
      model.forward(x(), { returnAttention: true } as never),
      'ERR_INVALID_ARG_VALUE',
      'returnAttention',
    );
    await expectReject(model.forward(x(), { timeoutMs: -1 }), 'ERR_OUT_OF_RANGE', 'timeoutMs');
    expectThrow(
      () => model.forwardSync(x(), { timeoutMs: 1 } as never),
      'ERR_INVALID_ARG_VALUE',
      'timeoutMs',
    );
    expect(add.calls).toEqual([]);
  });

  test('a disposed module of one’s own', async () => {
    const add = new Add(1);
    const model = new Sequential(add);
    add.dispose();
    await expectReject(model.forward(x()), 'ERR_DISPOSED', 'The Add was disposed');
    expectThrow(() => model.forwardSync(x()), 'ERR_DISPOSED', 'The Add was disposed');
  });
});

describe('signal and timeoutMs', () => {
  test('reach every module, and the time is for all together', async () => {
    const [first, second] = [new Add(1), new Add(1)];
    const wait = own(async (input) => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      return input;
    });
    const { signal } = new AbortController();
    const model = new Sequential(first, wait, new Sequential(second), new Flatten(0));
    await model.forward(x(), { signal, timeoutMs: 50_000 });
    await model.forward(x());
    const [[one, none], [two]] = [first.calls, second.calls];
    expect([one?.signal, two?.signal, none]).toEqual([signal, signal, undefined]);
    expect(one?.timeoutMs).toBeLessThanOrEqual(50_000);
    expect(two?.timeoutMs).toBeLessThanOrEqual(Number(one?.timeoutMs) - 29);
  });

  test('reach native modules', async () => {
    const { signal } = new AbortController();
    const model = new Sequential(new ReLU(), new Add(1), new ReLU());
    const requests = await requestsOf(() => model.forward(x(), { signal, timeoutMs: 60_000 }));
    const controls = requests.map(([, , , control]) => control);
    expect(controls.map((control) => control.signal)).toEqual([signal, signal]);
    expect(controls.every(({ timeoutMs = Infinity }) => timeoutMs <= 60_000)).toBe(true);
  });

  test('a module that aborts the signal itself, before it waits or returns', async () => {
    for (const ends of [true, false]) {
      const controller = new AbortController();
      class Own extends Module {
        override async forward(x: Tensor): Promise<Tensor> {
          controller.abort(new Error('by itself'));
          return ends ? x : new Promise(() => undefined);
        }
      }
      const { signal } = controller;
      const forward = new Sequential(new Own()).forward(Tensor.ones([2]), { signal });
      await expect(forward).rejects.toThrow('by itself');
    }
  });

  test('end a module that heeds neither, and no further one starts', async () => {
    const last = new Add(1);
    let release: (tensor: Tensor) => void = () => undefined;
    const stuck = own(() => new Promise((resolve) => (release = resolve)));
    const model = new Sequential(stuck, last);
    await expectReject(model.forward(x(), { timeoutMs: 5 }), 'ERR_TIMEOUT', 'within 5 ms');
    release(x());
    const controller = new AbortController();
    const aborted = model.forward(x(), { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
    release(x());
    await new Promise((resolve) => setImmediate(resolve));
    expect(last.calls).toEqual([]);
  });

  test('time that a module spends on this thread counts', async () => {
    const last = new Add(1);
    const busy = own((input) => {
      const end = performance.now() + 20;
      while (performance.now() < end);
      return input;
    });
    await expectReject(
      new Sequential(busy, last).forward(x(), { timeoutMs: 10 }),
      'ERR_TIMEOUT',
      'within 10 ms',
    );
    expect(last.calls).toEqual([]);
  });

  test('a signal that is aborted already starts nothing', async () => {
    const add = new Add(1);
    const signal = AbortSignal.abort(new Error('before'));
    await expect(new Sequential(add).forward(x(), { signal })).rejects.toThrow('before');
    expect(add.calls).toEqual([]);
  });
});

test('disposing it disposes modules of one’s own, and frees all layers', () => {
  const before = runtime.memory().liveLayers;
  const add = new Add(1);
  new Sequential(times(2), add, times(2), times(3)).dispose();
  expect(add.disposed).toBe(true);
  expect(runtime.memory().liveLayers).toBe(before);
});

test('the same module twice', async () => {
  const [add, linear] = [new Add(1), times(2)];
  const model = new Sequential(add, linear, linear, add);
  expect(values(await model.forward(x()))).toEqual([9, 9]);
  expect(Object.keys(model.stateDict())).toEqual(['1.weight', '2.weight']);
  expect(model.numParameters).toBe(4);
  model.dispose();
});
