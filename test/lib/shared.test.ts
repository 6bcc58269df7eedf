import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import {
  Conv2d,
  Flatten,
  GELU,
  LayerNorm,
  Linear,
  MaxPool2d,
  Module,
  ModuleList,
  openShared,
  ReLU,
  runtime,
  Sequential,
  Tensor,
  TokenLearner,
  TokenLearnerV10,
  TokenLearnerV11,
} from '../../lib';
import type { ErrorCode } from '../../lib';
import { expectThrow as expectThrowWith } from './formats/support';

class Net extends Module {
  readonly #head: Linear;
  readonly first: Linear;
  readonly second: Linear;

  constructor(swapped = false) {
    super();
    const [a, b] = [new Linear(4, 4, { device: 'cpu' }), new Linear(4, 4, { device: 'cpu' })];
    [this.first, this.second] = swapped ? [b, a] : [a, b];
    this.#head = this.registerModule('head', new Linear(4, 2, { device: 'cpu' }));
  }

  override async forward(x: Tensor): Promise<Tensor> {
    return this.#head.forward(await this.second.forward(await this.first.forward(x)));
  }
}

const expectThrow = (run: () => unknown, code: ErrorCode, text = ''): void => {
  expectThrowWith(run, code, text);
};
const copy = <T extends object>(token: T): T => structuredClone(token);
const found = (tensor: Tensor): unknown => tensor.toJSON();

describe('modules', () => {
  test.each<[string, () => Module, number[]]>([
    [
      'TokenLearner',
      () => new TokenLearner({ dim: 4, ffMult: 3, numOutputTokens: 5, numLayers: 3, intraOpThreads: 1 }),
      [2, 4, 3, 3],
    ],
    [
      'TokenLearner on grouped-conv',
      () => new TokenLearner({ dim: 4, engine: 'grouped-conv' }),
      [2, 4, 3, 3],
    ],
    ...(['a', 'b', 'd'] as const).flatMap((variant): [string, () => Module, number[]][] => [
      [
        `TokenLearnerV11 ${variant}`,
        () =>
          new TokenLearnerV11({
            dim: 4,
            numOutputTokens: 3,
            variant,
            eps: 1e-5,
            engine: 'fused',
            ...(variant === 'd' ? { bottleneckDim: 5 } : { groups: 2 }),
            ...(variant === 'a' ? {} : { approximate: 'none' }),
          }),
        [2, 4, 3, 3],
      ],
    ]),
    [
      'TokenLearnerV10',
      () =>
        new TokenLearnerV10({ dim: 4, numOutputTokens: 3, pooling: 'mean', eps: 1e-5, approximate: 'none' }),
      [2, 4, 3, 3],
    ],
    ['TokenLearnerV11 on libtorch', () => new TokenLearnerV11({ dim: 4, engine: 'libtorch' }), [2, 4, 3, 3]],
    ['Linear without bias', () => new Linear(4, 3, { bias: false }), [2, 4]],
    [
      'Conv2d',
      () => new Conv2d(4, 6, [3, 2], { stride: [2, 1], padding: 1, dilation: 1, groups: 2 }),
      [1, 4, 8, 8],
    ],
    ['MaxPool2d', () => new MaxPool2d([2, 3], { stride: 2, padding: [1, 0], ceilMode: true }), [1, 4, 9, 9]],
    ['MaxPool2d of one number', () => new MaxPool2d(2), [1, 4, 9, 9]],
    ['LayerNorm', () => new LayerNorm([3, 4], { eps: 0 }), [2, 3, 4]],
    ['GELU', () => new GELU({ approximate: 'tanh' }), [2, 4]],
    ['ReLU', () => new ReLU(), [2, 4]],
    ['Flatten', () => new Flatten(0, 1), [2, 4, 3]],
    [
      'Sequential',
      () => new Sequential(new TokenLearner({ dim: 4 }), new Sequential(new Flatten(), new Linear(32, 2))),
      [2, 4, 3, 3],
    ],
  ])('%s opens with the same class, repr, shapes and numbers', async (_, make, shape) => {
    const module = make();
    const opened = openShared(copy(module.share()));
    expect(Object.getPrototypeOf(opened)).toBe(Object.getPrototypeOf(module));
    expect(String(opened)).toBe(String(module));
    expect(opened.outputShape(shape)).toEqual(module.outputShape(shape));
    const x = Tensor.randn(shape);
    expect(found(opened.forwardSync(x) as Tensor)).toEqual(found(module.forwardSync(x) as Tensor));
    expect(found((await opened.forward(x)) as Tensor)).toEqual(found(module.forwardSync(x) as Tensor));
    expect(Object.keys(opened.stateDict())).toEqual(Object.keys(module.stateDict()));
    // The layer without parameters has nothing that could change.
    if (opened.numParameters > 0) expectThrow(() => opened.to('float64'), 'ERR_SHARED_READ_ONLY');
  });

  test('parameters are not copied, and are freed with the last that holds them', () => {
    const model = new TokenLearner({ dim: 8, device: 'cpu' });
    const before = runtime.memory();
    const token = model.share();
    const opened = [openShared(token), openShared(token)];
    expect(runtime.memory().liveShares).toBe(before.liveShares + 1);
    token.dispose();
    token.dispose();
    model.dispose();
    const x = Tensor.randn([8, 4, 4]);
    const [a, b] = opened.map((each) => each.forwardSync(x));
    expect(a).toEqual(b);
    for (const each of opened) each.dispose();
    expect(runtime.memory()).toMatchObject({
      liveLayers: before.liveLayers - 1,
      liveShares: before.liveShares,
    });
  });

  test('an opened module is read-only, and nothing changes where one of several is', () => {
    const opened = openShared(new Linear(2, 2, { device: 'cpu' }).share());
    const dict = opened.stateDict();
    expectThrow(() => opened.loadStateDict(dict), 'ERR_SHARED_READ_ONLY', 'stateDict()');
    expect(opened.to('float32').to('cpu')).toBe(opened);
    const own = new Linear(2, 2, { device: 'cpu' });
    const both = new Sequential(own, opened);
    expectThrow(() => both.to('float64'), 'ERR_SHARED_READ_ONLY');
    expect(own.dtype).toBe('float32');
    dict.weight?.copyFrom(new Float32Array(4));
    expect(opened.stateDict().weight?.equals(dict.weight as Tensor)).toBe(false);
  });

  test('a change of the original does not change what was shared', () => {
    const model = new Linear(2, 2, { device: 'cpu' });
    const token = model.share();
    const opened = openShared(token);
    const before = opened.stateDict().weight as Tensor;
    model.loadStateDict({ weight: Tensor.ones([2, 2]), bias: Tensor.zeros([2]) });
    model.to('float64');
    for (const each of [opened, openShared(token)]) {
      expect(each.dtype).toBe('float32');
      expect(each.stateDict().weight?.equals(before)).toBe(true);
    }
  });

  test('shares, names, properties and the order of children are those of the original', () => {
    const linear = new Linear(3, 3, { device: 'cpu' });
    const model = new Sequential(linear, new ReLU(), linear) as Sequential & Record<string, Module>;
    model.tail = new Flatten();
    model.registerModule('last', new ModuleList([new GELU(), linear]));
    model['1'] = new GELU();
    const opened = openShared<typeof model>(model.share());
    expect(opened.namedModules().map(([name]) => name)).toEqual(model.namedModules().map(([name]) => name));
    expect(String(opened)).toBe(String(model));
    expect(opened.at(0)).toBe(opened.at(2));
    expect(opened.tail).toBeInstanceOf(Flatten);
    expect(opened['1']).toBeInstanceOf(GELU);
    expect(opened.parameters()).toHaveLength(2);
  });

  test('an opened module can be shared again', () => {
    const model = new Linear(2, 2, { device: 'cpu' });
    const again = openShared(openShared(model.share()).share());
    expect(again.stateDict()).toEqual(model.stateDict());
  });

  test('a class of the user needs `build`, and gets the parameters by name', async () => {
    const model = new Net();
    const token = copy(model.share());
    expectThrow(() => openShared(token), 'ERR_INVALID_ARG_TYPE', 'Net is not a class of this package');
    const x = Tensor.randn([1, 4]);
    for (const swapped of [false, true]) {
      const { liveLayers } = runtime.memory();
      const opened = openShared<Net>(token, () => new Net(swapped));
      expect(runtime.memory().liveLayers).toBe(liveLayers + 3);
      expect(opened.stateDict()).toEqual(model.stateDict());
      expect((await opened.forward(x)).equals(await model.forward(x))).toBe(true);
      expectThrow(() => opened.to('float64'), 'ERR_SHARED_READ_ONLY');
      opened.dispose();
    }
  });

  test('an overridden forward counts as a class of the user', () => {
    const model = Object.assign(new ReLU(), { forward: (x: Tensor) => Promise.resolve(x) });
    expectThrow(() => openShared(model.share()), 'ERR_INVALID_ARG_TYPE', 'build');
  });

  test('`build` must make the structure of the shared module', () => {
    const token = new Net().share();
    const { liveLayers } = runtime.memory();
    const made = new Net();
    const refuse = (build: unknown, code: string, text: string): void => {
      expectThrow(() => openShared(token as never, build as never), code as never, text);
    };
    refuse('Net', 'ERR_INVALID_ARG_TYPE', 'a function');
    refuse(() => 1, 'ERR_INVALID_ARG_TYPE', 'a module');
    refuse(() => Promise.resolve(new Net()), 'ERR_INVALID_ARG_TYPE', 'a module');
    refuse(() => made, 'ERR_INVALID_ARG_VALUE', 'made elsewhere');
    refuse(() => new Linear(4, 4, { device: 'cpu' }), 'ERR_INVALID_ARG_VALUE', 'no layer the module itself');
    refuse(
      () => Object.assign(new Net(), { third: new ReLU() }),
      'ERR_INVALID_ARG_VALUE',
      "no layer 'third'",
    );
    refuse(
      () => Object.assign(new Net(), { first: new Linear(4, 5, { device: 'cpu' }) }),
      'ERR_INVALID_ARG_VALUE',
      "'first', Linear(in_features=4, out_features=5",
    );
    refuse(
      () => Object.assign(new Net(), { first: null }),
      'ERR_INVALID_ARG_VALUE',
      "it has no layer 'first'",
    );
    refuse(
      () => {
        const net = new Net();
        return Object.assign(net, { first: net.second });
      },
      'ERR_INVALID_ARG_VALUE',
      'one layer in one of them',
    );
    expect(() =>
      openShared(token, () => {
        throw new RangeError('mine');
      }),
    ).toThrow('mine');
    // Constructors that run later create layers of their own.
    const own = new Linear(4, 4, { device: 'cpu' });
    expect(own.to('float64').dtype).toBe('float64');
    expect(made.to('float64').dtype).toBe('float64');
    expect(runtime.memory().liveLayers).toBeGreaterThan(liveLayers);
  });

  test('a disposed module cannot be shared', () => {
    const model = new ReLU();
    model.dispose();
    expectThrow(() => model.share(), 'ERR_DISPOSED');
    expectThrow(() => Module.prototype.share.call({} as never), 'ERR_INVALID_THIS');
  });
});

describe('tensors', () => {
  test('share gives the same memory, and nobody sees the writes of another', () => {
    const x = Tensor.from([1, 2, 3, 4]).contiguous();
    const token = x.share();
    const [a, b] = [openShared(token), openShared(copy(token))];
    a.copyFrom(new Float32Array([9, 9, 9, 9]));
    b.data[0] = 8;
    x.data[3] = 7;
    expect([x, a, b, openShared(token)].map((each) => each.toArray())).toEqual([
      [1, 2, 3, 7],
      [9, 9, 9, 9],
      [8, 2, 3, 4],
      [1, 2, 3, 4],
    ]);
  });

  test('views of one memory stay together after a write', () => {
    const x = Tensor.zeros([2, 2]);
    const row = x.select(0, 1);
    const opened = openShared(x.share());
    row.copyFrom(new Float32Array([1, 2]));
    expect(x.toArray()).toEqual([
      [0, 0],
      [1, 2],
    ]);
    expect(opened.toArray()).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });

  test.each<[string, () => Tensor]>([
    ['strided', () => Tensor.arange(6, { dtype: 'float32' }).reshape([2, 3]).T],
    ['part of a larger one', () => Tensor.arange(64, { dtype: 'float32' }).slice(0, 3, 60, 5)],
    ['over a caller’s array', () => Tensor.from(new Float32Array([1, 2, 3])).slice(0, 1)],
    [
      'whose data was read',
      () => {
        const x = Tensor.ones([3]);
        x.data[1] = 5;
        return x;
      },
    ],
    ['without elements', () => Tensor.zeros([0, 3])],
    ['without dimensions', () => Tensor.from(3)],
    ['opened', () => openShared(Tensor.ones([2]).share())],
  ])('a tensor that is %s can be shared and moved', (_, make) => {
    const expected = make().toJSON();
    const x = make();
    expect(openShared(x.share()).toJSON()).toEqual(expected);
    const token = x.move();
    expect(x.disposed).toBe(true);
    expect(() => x.data).toThrow('disposed');
    const opened = openShared(copy(token));
    expect(opened.toJSON()).toEqual(expected);
    expectThrow(() => openShared(token), 'ERR_SHARED_NOT_FOUND');
    expect(Array.from(opened.contiguous().data)).toEqual(
      opened.toArray().toString() === '' ? [] : [opened.toArray()].flat(9),
    );
  });

  test.each(['float64', 'float16', 'bfloat16', 'int32', 'int64', 'uint8', 'bool'] as const)('%s', (dtype) => {
    const x = Tensor.ones([3], { dtype });
    const opened = openShared(x.share());
    expect(opened.dtype).toBe(dtype);
    expect(opened.equals(x)).toBe(true);
  });

  test('a moved tensor is written in place; other views of its memory stay apart', () => {
    const x = Tensor.zeros([4]);
    const view = x.slice(0, 0, 2);
    const opened = openShared(x.move());
    opened.data[0] = 1;
    opened.copyFrom(new Float32Array([1, 2, 3, 4]));
    expect(view.toArray()).toEqual([0, 0]);
    const alone = openShared(Tensor.zeros([4]).move());
    const { data } = alone;
    alone.copyFrom(new Float32Array([1, 2, 3, 4]));
    expect(Array.from(data)).toEqual([1, 2, 3, 4]);
  });

  test('what is moved lives until it is opened or disposed', () => {
    const { liveShares } = runtime.memory();
    const [first, second] = [Tensor.ones([2]).move(), Tensor.ones([2]).move()] as const;
    expect(runtime.memory().liveShares).toBe(liveShares + 2);
    first.dispose();
    openShared(second).dispose();
    expect(runtime.memory().liveShares).toBe(liveShares);
    for (const token of [first, second]) expectThrow(() => openShared(token), 'ERR_SHARED_NOT_FOUND');
  });
});

describe('tokens', () => {
  test('every way of cloning carries them', () => {
    const token = new ReLU().share();
    expect(Object.isFrozen(token)).toBe(true);
    const { port1, port2 } = new MessageChannel();
    port1.postMessage({ token });
    const posted = (receiveMessageOnPort(port2) as { message: { token: typeof token } }).message.token;
    port1.close();
    for (const each of [copy(token), posted, JSON.parse(JSON.stringify(token)) as typeof token])
      expect(openShared(each)).toBeInstanceOf(ReLU);
  });

  test.each<[string, unknown, string]>([
    ['undefined', undefined, 'ERR_INVALID_ARG_TYPE'],
    ['a string', 'a'.repeat(32), 'ERR_INVALID_ARG_TYPE'],
    ['a module', new ReLU(), 'ERR_INVALID_ARG_TYPE'],
    ['another object', { id: 'a'.repeat(32) }, 'ERR_INVALID_ARG_TYPE'],
    ['a short id', { tokenlearner: 'shared-module', id: 'abc' }, 'ERR_INVALID_ARG_VALUE'],
    ['an id of another type', { tokenlearner: 'shared-tensor', id: 12 }, 'ERR_INVALID_ARG_VALUE'],
    ['another process’s id', { tokenlearner: 'shared-module', id: 'a'.repeat(32) }, 'ERR_SHARED_NOT_FOUND'],
  ])('%s is refused', (_, token, code) => {
    expectThrow(() => openShared(token as never), code as never);
  });

  test('a token with a forged kind is refused, and loses nothing', () => {
    const model = new ReLU().share();
    const moved = Tensor.ones([2]).move();
    expectThrow(
      () => openShared({ id: model.id, tokenlearner: 'shared-tensor' } as never),
      'ERR_INVALID_ARG_VALUE',
    );
    expectThrow(
      () => openShared({ id: moved.id, tokenlearner: 'shared-module' } as never),
      'ERR_INVALID_ARG_VALUE',
    );
    expect(openShared(model)).toBeInstanceOf(ReLU);
    expect(openShared(moved).toArray()).toEqual([1, 1]);
    expectThrow(
      () => openShared(Tensor.ones([1]).share() as never, () => new ReLU() as never),
      'ERR_INVALID_ARG_VALUE',
    );
  });
});
