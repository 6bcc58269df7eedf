import { inspect } from 'node:util';
import {
  Flatten,
  Linear,
  Module,
  ModuleList,
  ReLU,
  runtime,
  Sequential,
  Tensor,
  TokenLearner,
} from '../../../lib';
import { expectReject, expectThrow } from '../formats/support';

const device = 'cpu';

/** A user's module, as the documentation writes one. */
class Net extends Module {
  readonly backbone = new TokenLearner({ dim: 4, ffMult: 1, numOutputTokens: 2, device });
  readonly #head: Linear;
  readonly flatten = new Flatten();

  constructor() {
    super();
    this.#head = this.registerModule('head', new Linear(8, 3, { device }));
  }

  override async forward(x: Tensor): Promise<Tensor> {
    const tokens = await this.backbone.forward(x);
    return this.#head.forward(await this.flatten.forward(tokens));
  }

  override forwardSync(x: Tensor): Tensor {
    return this.#head.forwardSync(this.flatten.forwardSync(this.backbone.forwardSync(x)));
  }
}

const KEYS = [
  'backbone.net.0.weight',
  'backbone.net.0.bias',
  'backbone.net.2.weight',
  'backbone.net.2.bias',
  'head.weight',
  'head.bias',
];
const COUNT = 8 * 4 + 8 + 2 * 4 + 2 + 3 * 8 + 3;

describe('a module of one’s own', () => {
  test('computes', async () => {
    const net = new Net();
    const x = Tensor.randn([2, 4, 3, 3]);
    const y = await net.forward(x);
    expect(y.shape).toEqual([2, 3]);
    expect(net.forwardSync(x).data).toEqual(y.data);
  });

  test('has the parameters of its children, by PyTorch’s names', () => {
    const net = new Net();
    expect(Object.keys(net.stateDict())).toEqual(KEYS);
    expect(net.namedParameters().map(([name]) => name)).toEqual(KEYS);
    expect(net.parameters().map((tensor) => tensor.toJSON())).toEqual(
      Object.values(net.stateDict()).map((tensor) => tensor.toJSON()),
    );
    expect(net.numParameters).toBe(COUNT);
  });

  test('loads a state dict', async () => {
    const [from, to] = [new Net(), new Net()];
    expect(to.loadStateDict(from.stateDict())).toEqual({ missingKeys: [], unexpectedKeys: [] });
    const x = Tensor.randn([1, 4, 2, 2]);
    expect((await to.forward(x)).data).toEqual((await from.forward(x)).data);
    const { 'head.bias': bias, ...rest } = from.stateDict();
    expectThrow(
      () => to.loadStateDict({ ...rest, extra: bias } as never),
      'ERR_STATE_DICT',
      'Error(s) in loading state_dict for Net:\n\tMissing key(s) in state_dict: "head.bias". \n' +
        '\tUnexpected key(s) in state_dict: "extra". ',
    );
  });

  test('moves as a whole', () => {
    const net = new Net();
    expect(net).toMatchObject({ device: 'cpu', dtype: 'float32' });
    expect(net.to('float64')).toBe(net);
    expect(net.dtype).toBe('float64');
    expect(net.parameters().every(({ dtype }) => dtype === 'float64')).toBe(true);
  });

  test('disposes its children', () => {
    const before = runtime.memory();
    const net = new Net();
    const { backbone } = net;
    net.dispose();
    net.dispose();
    expect([net.disposed, backbone.disposed]).toEqual([true, true]);
    expect(runtime.memory()).toEqual(before);
    for (const use of [() => net.stateDict(), () => net.device, () => net.toString(), () => net.eval()])
      expectThrow(use, 'ERR_DISPOSED', 'The Net was disposed');
    expect(inspect(net)).toBe('Net(disposed)');
  });

  test('disposes the others if the dispose of one throws', () => {
    const bad = new ReLU();
    const error = new Error('mine');
    bad.dispose = () => {
      throw error;
    };
    const net = Object.assign(new (class extends Module {})(), { bad, good: new ReLU() });
    expect(() => {
      net.dispose();
    }).toThrow(error);
    expect(net.good.disposed).toBe(true);
  });

  test('reads like PyTorch’s', () => {
    const net = new Net();
    expect(String(net)).toBe(
      `Net(
  (backbone): TokenLearner(
    (net): Sequential(
      (0): Conv2d(8, 8, kernel_size=(1, 1), stride=(1, 1), groups=2)
      (1): GELU(approximate='none')
      (2): Conv2d(8, 2, kernel_size=(1, 1), stride=(1, 1), groups=2)
    )
  )
  (flatten): Flatten(start_dim=1, end_dim=-1)
  (head): Linear(in_features=8, out_features=3, bias=True)
)`,
    );
    expect(inspect(net)).toBe(String(net));
    net.flatten.dispose();
    expect(inspect(net)).toContain('  (flatten): Flatten(disposed)\n');
    expect(String(new (class Empty extends Module {})())).toBe('Empty()');
    expect(String(new (class extends Module {})())).toBe('Module()');
  });

  test('without parameters it is on the CPU, in float32', () => {
    const module = Object.assign(new (class extends Module {})(), { relu: new ReLU() });
    expect(module).toMatchObject({ device: 'cpu', dtype: 'float32', numParameters: 0 });
    expect(module.loadStateDict({})).toEqual({ missingKeys: [], unexpectedKeys: [] });
    expect(module.to('float16')).toBe(module);
  });

  test('a method that its class lacks is an error that says so', async () => {
    class Lazy extends Module {}
    const lazy = new Lazy();
    await expectReject(lazy.forward(Tensor.ones([1])), 'ERR_NOT_IMPLEMENTED', 'Lazy has no forward');
    expectThrow(() => lazy.forwardSync(), 'ERR_NOT_IMPLEMENTED', 'Lazy has no forwardSync');
    expectThrow(
      () => lazy.outputShape([1]),
      'ERR_NOT_IMPLEMENTED',
      'Lazy has no outputShape of its own: override it',
    );
    await expectReject(
      Module.prototype.forward.call({} as never) as Promise<unknown>,
      'ERR_INVALID_THIS',
      'to be a Module',
    );
  });

  test('its properties and methods can have any name', async () => {
    class Odd extends Module {
      handle = new ReLU();
      leaves = 3;
      release(): string {
        return 'mine';
      }
      submit(): string {
        return 'mine';
      }
      override forward(x: Tensor): Promise<Tensor> {
        return this.handle.forward(x);
      }
    }
    const odd = new Odd();
    expect([...(await new Sequential(odd, new ReLU()).forward(Tensor.full([2], -1))).data]).toEqual([0, 0]);
    odd.dispose();
    expect([odd.handle.disposed, odd.release(), odd.leaves]).toEqual([true, 'mine', 3]);
  });
});

describe('children', () => {
  class Pair extends Module {
    constructor(
      readonly first: Module,
      readonly second: Module,
    ) {
      super();
    }
  }
  const linear = (): Linear => new Linear(2, 2, { bias: false, device });

  test('are listed in the order of registration', () => {
    const module = new (class extends Module {})() as Module & Record<string, unknown>;
    const [a, b, c, d] = [new ReLU(), new ReLU(), new ReLU(), new ReLU()];
    module.registerModule('a', a);
    Object.assign(module, { b, text: 'no module' });
    module.registerModule('c', c);
    Object.assign(module, { d });
    expect(module.namedChildren()).toEqual([
      ['a', a],
      ['b', b],
      ['c', c],
      ['d', d],
    ]);
    expect(module.children()).toEqual([a, b, c, d]);
    const other = new ReLU();
    Object.assign(module, { a: other });
    expect(module.namedChildren()[0]).toEqual(['a', other]);
    expect(module.children()).toHaveLength(4);
  });

  test('modules() and namedModules() include the module itself and all below', () => {
    const inner = new Sequential(new ReLU());
    const outer = new Pair(inner, inner);
    expect(outer.namedModules().map(([name]) => name)).toEqual(['', 'first', 'first.0']);
    expect(outer.modules()).toEqual([outer, inner, inner.at(0)]);
  });

  test('one with two names counts once, and is in the state dict under both', () => {
    const shared = linear();
    const module = new Pair(shared, shared);
    expect(Object.keys(module.stateDict())).toEqual(['first.weight', 'second.weight']);
    expect(module.namedParameters().map(([name]) => name)).toEqual(['first.weight']);
    expect([module.parameters().length, module.numParameters, module.children().length]).toEqual([1, 4, 1]);
    expect(module.namedChildren()).toHaveLength(2);
    expect(module.to('float64').dtype).toBe('float64');
    const [one, two] = [Tensor.full([2, 2], 1), Tensor.full([2, 2], 2)];
    expectThrow(() => module.loadStateDict({ 'first.weight': one }), 'ERR_STATE_DICT', '"second.weight"');
    module.loadStateDict({ 'first.weight': one, 'second.weight': two });
    expect(shared.stateDict().weight?.toJSON()).toMatchObject({
      data: [
        [2, 2],
        [2, 2],
      ],
    });
    module.loadStateDict({ 'first.weight': one }, { strict: false });
    expect(shared.stateDict().weight?.toJSON()).toMatchObject({
      data: [
        [1, 1],
        [1, 1],
      ],
    });
  });

  test('halves of a shared module under different names are both loaded', () => {
    const shared = new Linear(1, 1, { device });
    const module = new Pair(shared, shared);
    module.loadStateDict(
      { 'first.weight': Tensor.full([1, 1], 5), 'second.bias': Tensor.full([1], 6) },
      { strict: false },
    );
    expect(Object.values(shared.stateDict()).map(({ data }) => data[0])).toEqual([5, 6]);
  });

  test('a module that contains itself is refused with its path', () => {
    const child = new Pair(linear(), linear()) as Pair & { parent?: Module };
    const parent = new Pair(child, linear());
    child.parent = parent;
    expectThrow(
      () => parent.stateDict(),
      'ERR_INVALID_ARG_VALUE',
      'contains itself, as first.parent: keep such',
    );
    expect(parent.numParameters).toBe(12);
    expect(String(parent)).toContain('(parent): Pair(...)');
    parent.dispose();
    expect(child.disposed).toBe(true);
  });

  test('an array of modules is refused, and the message names ModuleList', () => {
    const module = Object.assign(new (class Net2 extends Module {})(), { layers: [linear()] });
    for (const use of [() => module.stateDict(), () => module.numParameters, () => module.to('float64')])
      expectThrow(use, 'ERR_INVALID_ARG_VALUE', 'Expected a ModuleList for `Net2.layers`');
  });

  test.each([
    ['a Map', (child: Module) => new Map([['a', child]])],
    ['a Set', (child: Module) => new Set([child])],
    ['an object', (child: Module) => ({ child })],
  ])('%s of modules is refused too', (container, hold) => {
    const module = Object.assign(new (class Net2 extends Module {})(), { layers: hold(linear()) });
    expectThrow(() => module.stateDict(), 'ERR_INVALID_ARG_VALUE', `but received ${container} of modules`);
  });

  test('a collection of modules that are children anyway is none of its business', () => {
    const [first, second] = [linear(), linear()];
    const module = Object.assign(new Pair(first, second), { layers: [first, second], byName: { first } });
    expect(Object.keys(module.stateDict())).toEqual(Object.keys(new Pair(first, second).stateDict()));
    Object.assign(module, { layers: [first, linear()] });
    expectThrow(() => module.stateDict(), 'ERR_INVALID_ARG_VALUE', 'Expected a ModuleList for `Pair.layers`');
  });

  test('a disposed child makes the module unusable', () => {
    const child = linear();
    const module = new Pair(child, linear());
    child.dispose();
    expectThrow(() => module.stateDict(), 'ERR_DISPOSED', 'The Linear was disposed');
    expectThrow(() => module.to('float64'), 'ERR_DISPOSED', 'The Linear was disposed');
    expectThrow(() => module.loadStateDict({}), 'ERR_DISPOSED', 'The Linear was disposed');
  });

  test('a load that fails changes nothing in any child', () => {
    const module = new Pair(linear(), linear());
    const before = module.parameters().map((tensor) => tensor.toJSON());
    const bad = { 'first.weight': Tensor.ones([2, 2]), 'second.weight': Tensor.ones([3, 2]) };
    expectThrow(() => module.loadStateDict(bad), 'ERR_STATE_DICT', 'size mismatch for second.weight');
    expect(module.parameters().map((tensor) => tensor.toJSON())).toEqual(before);
  });

  test.each([
    ['', 'ERR_INVALID_ARG_VALUE'],
    ['a.b', 'ERR_INVALID_ARG_VALUE'],
    ['forward', 'ERR_INVALID_ARG_VALUE'],
    ['first', 'ERR_INVALID_ARG_VALUE'],
    [1, 'ERR_INVALID_ARG_TYPE'],
  ] as const)('registerModule refuses the name %j', (name, code) => {
    const module = new Pair(linear(), linear());
    expectThrow(() => module.registerModule(name as never, new ReLU()), code, '`name`');
  });

  test('registerModule refuses what is not a module, and replaces its own', () => {
    const module = new Pair(linear(), linear());
    expectThrow(() => module.registerModule('third', {} as never), 'ERR_INVALID_ARG_TYPE', '`module`');
    const [one, two] = [new ReLU(), new ReLU()];
    expect(module.registerModule('third', one)).toBe(one);
    module.registerModule('third', two);
    expect(module.namedChildren().at(-1)).toEqual(['third', two]);
    expect(module.children()).toHaveLength(3);
  });
});

describe('ModuleList', () => {
  test('names its modules by position, and has no forward', async () => {
    const list = new ModuleList([new Linear(1, 2, { device }), new ReLU()]);
    const net = Object.assign(new (class extends Module {})(), { layers: list });
    expect(Object.keys(net.stateDict())).toEqual(['layers.0.weight', 'layers.0.bias']);
    expect([list.length, list.at(-1), list.at(2)]).toEqual([2, [...list][1], undefined]);
    await expectReject(list.forward(Tensor.ones([1])), 'ERR_NOT_IMPLEMENTED', 'ModuleList has no forward');
    expectThrow(() => list.at('0' as never), 'ERR_INVALID_ARG_TYPE', '`index`');
  });

  test('reads like PyTorch’s', () => {
    const list = new ModuleList([new ReLU(), new ReLU(), new Sequential(new ReLU())]);
    expect(String(list)).toBe(
      'ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Sequential(\n    (0): ReLU()\n  )\n)',
    );
    expect(String(new ModuleList())).toBe('ModuleList()');
  });

  test('takes only an array of modules', () => {
    expectThrow(() => new ModuleList(new ReLU() as never), 'ERR_INVALID_ARG_TYPE', '`modules`');
    expectThrow(() => new ModuleList([{}] as never), 'ERR_INVALID_ARG_TYPE', '`modules[0]`');
  });
});

describe('aliases', () => {
  const linear = (): Linear => new Linear(1, 1, { device });

  test.each([
    ['float', 'float32'],
    ['double', 'float64'],
    ['half', 'float16'],
    ['bfloat16', 'bfloat16'],
  ] as const)('%s() is to(%j)', (name, dtype) => {
    const module = new Sequential(linear()).to('float64');
    expect(module[name]()).toBe(module);
    expect(module.dtype).toBe(dtype);
  });

  test('cpu(), eval() and to(device, dtype) return the module', () => {
    const module = linear();
    expect(module.cpu().eval().to('cpu', 'float64')).toBe(module);
    expect(module.dtype).toBe('float64');
    expect('train' in module).toBe(false);
  });

  test.each([
    [['float32', 'float64'], 'ERR_INVALID_ARG_VALUE', '`target`'],
    [['cpu', 'int32'], 'ERR_INVALID_ARG_VALUE', '`dtype`'],
    [['cpu', null], 'ERR_INVALID_ARG_TYPE', '`dtype`'],
    [['cpu', { dtype: 'float64' }], 'ERR_INVALID_ARG_TYPE', '`dtype`'],
  ] as const)('to(...%j) is refused', (args, code, message) => {
    const module = linear() as unknown as { to: (...rest: unknown[]) => unknown };
    expectThrow(() => module.to(...args), code, message);
  });

  test('cuda(index) asks for that GPU', () => {
    expectThrow(() => linear().cuda('0' as never), 'ERR_INVALID_ARG_TYPE', '`index`');
    expectThrow(() => linear().cuda(-1), 'ERR_OUT_OF_RANGE', '`index`');
    if (runtime.info().cuda.available) return;
    expectThrow(() => linear().cuda(), 'ERR_CUDA_UNAVAILABLE', "'cuda'");
    expectThrow(() => linear().cuda(1), 'ERR_CUDA_UNAVAILABLE', "'cuda:1'");
  });
});
