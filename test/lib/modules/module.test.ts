import {
  Conv2d,
  Flatten,
  GELU,
  LayerNorm,
  Linear,
  MaxPool2d,
  Module,
  ReLU,
  runtime,
  Sequential,
  type StateDict,
  Tensor,
  TokenLearner,
} from '../../../lib';
import { expectReject, expectThrow } from '../formats/support';
import { methodOf, type TensorModule } from '../support';

const MODULES: [string, () => TensorModule, number[]][] = [
  ['TokenLearner', () => new TokenLearner({ dim: 3, device: 'cpu' }), [2, 3, 4, 4]],
  ['Linear', () => new Linear(3, 2, { device: 'cpu' }), [5, 3]],
  ['Conv2d', () => new Conv2d(3, 2, 3, { device: 'cpu' }), [2, 3, 4, 4]],
  ['LayerNorm', () => new LayerNorm(3, { device: 'cpu' }), [5, 3]],
  ['MaxPool2d', () => new MaxPool2d(2), [2, 3, 4, 4]],
  ['Flatten', () => new Flatten(), [2, 3, 4]],
  ['GELU', () => new GELU(), [7]],
  ['ReLU', () => new ReLU(), [7]],
  ['Sequential', () => new Sequential(new Flatten(), new Linear(12, 2, { device: 'cpu' })), [2, 3, 4]],
];

describe.each(MODULES)('%s', (name, make, shape) => {
  test('forward and forwardSync give the same bits, and the shape of outputShape', async () => {
    const module = make();
    const input = Tensor.randn(shape);
    const output = await module.forward(input);
    expect(output).toMatchObject({ shape: module.outputShape(shape), dtype: 'float32', device: 'cpu' });
    expect(module.forwardSync(input).data).toEqual(output.data);
    expect(output.data.buffer).not.toBe(input.data.buffer);
  });

  test('the caller’s memory, a permuted view and a copy give the same bits', async () => {
    const module = make();
    const input = Tensor.from(new Float32Array(Tensor.randn(shape).data), shape);
    const expected = module.forwardSync(input.clone()).data;
    const last = input.ndim - 1;
    const view = input.transpose(0, last).contiguous().transpose(0, last);
    for (const other of [input, view]) {
      expect(module.forwardSync(other).data).toEqual(expected);
      expect((await module.forward(other)).data).toEqual(expected);
    }
  });

  test('computes in float64', async () => {
    const module = make().to('float64');
    const output = await module.forward(Tensor.randn(shape, { dtype: 'float64' }));
    expect(output.dtype).toBe('float64');
  });

  test('a wrong input is refused', async () => {
    const module = make();
    const input = Tensor.zeros(shape);
    const disposed = Tensor.zeros(shape);
    disposed.dispose();
    for (const [bad, code] of [
      [input.to('int32'), 'ERR_DTYPE_MISMATCH'],
      [disposed, 'ERR_DISPOSED'],
      [undefined, 'ERR_INVALID_ARG_TYPE'],
      [{ shape, dtype: 'float32' }, 'ERR_INVALID_ARG_TYPE'],
      [input.data, 'ERR_INVALID_ARG_TYPE'],
    ] as const) {
      expectThrow(() => module.forwardSync(bad as never), code, '`input`');
      await expectReject(module.forward(bad as never), code, '`input`');
    }
  });

  test('properties that lie about an input have no effect', () => {
    const module = make();
    const input = Tensor.zeros(shape, { dtype: 'int32' });
    Object.defineProperty(input, 'dtype', { value: 'float32' });
    expectThrow(() => module.forwardSync(input as never), 'ERR_DTYPE_MISMATCH', 'int32');
  });

  test('a disposed module is refused, and the message names it', async () => {
    const module = make();
    module.dispose();
    module.dispose();
    expect(module.disposed).toBe(true);
    const message = `The ${name} was disposed`;
    for (const use of [
      () => module.forwardSync(Tensor.zeros(shape)),
      () => module.stateDict(),
      () => module.parameters(),
      () => module.loadStateDict({}),
      () => module.numParameters,
      () => module.device,
      () => module.dtype,
      () => module.to('float64'),
      () => module.outputShape(shape),
      () => module.toString(),
    ]) {
      expectThrow(use, 'ERR_DISPOSED', message);
    }
    await expectReject(module.forward(Tensor.zeros(shape)), 'ERR_DISPOSED', message);
  });

  test('dispose frees all native memory', () => {
    const before = runtime.memory();
    make().dispose();
    expect(runtime.memory()).toEqual(before);
  });

  test('outputShape refuses a value that is not a shape', () => {
    expectThrow(() => make().outputShape('3' as never), 'ERR_INVALID_ARG_TYPE', '`shape`');
    expectThrow(() => make().outputShape([-1]), 'ERR_OUT_OF_RANGE', '`shape[0]`');
  });

  test('its state dict makes another module of its class give the same results', () => {
    const [from, to] = [make(), make()];
    expect(to.loadStateDict(from.stateDict())).toEqual({ missingKeys: [], unexpectedKeys: [] });
    const input = Tensor.randn(shape);
    expect(to.forwardSync(input).data).toEqual(from.forwardSync(input).data);
    const count = from.parameters().reduce((sum, { numel }) => sum + numel, 0);
    expect(from.numParameters).toBe(count);
  });

  test('every method refuses a `this` of another class', async () => {
    const module = make();
    const other = module instanceof Linear ? new ReLU() : new Linear(1, 1, { device: 'cpu' });
    const own = Object.getPrototypeOf(module) as object;
    const fakes: unknown[] = [undefined, null, 1, {}, Object.create(own), other];
    for (const key of ['forward', 'forwardSync', 'outputShape', 'toString'] as const) {
      const method = methodOf(own, key);
      // A method that several classes share accepts any of them.
      const isShared = !Object.hasOwn(own, key);
      for (const fake of isShared ? fakes.slice(0, -1) : fakes) {
        const call = (): unknown => method.call(fake, Tensor.zeros(shape));
        if (key === 'forward') await expectReject(call() as Promise<unknown>, 'ERR_INVALID_THIS', '`this`');
        else expectThrow(call, 'ERR_INVALID_THIS', 'Expected `this` to be a');
      }
    }
  });
});

test('the methods of all modules refuse a `this` that is not a module', () => {
  const prototype = Module.prototype;
  const names = [
    'device',
    'dtype',
    'forwardSync',
    'outputShape',
    'toString',
    'registerModule',
    'children',
    'namedChildren',
    'modules',
    'namedModules',
    'namedParameters',
    'eval',
    'numParameters',
    'disposed',
    'stateDict',
    'parameters',
    'loadStateDict',
    'to',
    'dispose',
    Symbol.dispose,
  ];
  for (const name of names) {
    const call = methodOf(prototype, name);
    for (const fake of [undefined, {}, Object.create(Linear.prototype)]) {
      expectThrow(() => call.call(fake), 'ERR_INVALID_THIS', 'Expected `this` to be a Module');
    }
  }
});

describe('to', () => {
  test('moves parameters to a dtype, rounds them, and returns the module', () => {
    const linear = new Linear(2, 2, { device: 'cpu' });
    const weight = linear.stateDict().weight?.data as Float32Array;
    expect(linear.to('float64')).toBe(linear);
    expect(linear.dtype).toBe('float64');
    expect([...(linear.stateDict().weight?.data as Float64Array)]).toEqual([...weight]);
    expect(linear.to('cpu').to('float32').dtype).toBe('float32');
  });

  test.each([
    ['int32', 'ERR_INVALID_ARG_VALUE'],
    ['gpu', 'ERR_INVALID_ARG_VALUE'],
    [undefined, 'ERR_INVALID_ARG_TYPE'],
  ] as const)('%p is refused', (target, code) => {
    expectThrow(() => new Linear(1, 1).to(target as never), code, '`target`');
  });

  test('an input of the old dtype is refused, and the message says what to do', () => {
    const linear = new Linear(1, 1, { dtype: 'float64', device: 'cpu' });
    expectThrow(
      () => linear.forwardSync(Tensor.zeros([1])),
      'ERR_DTYPE_MISMATCH',
      "Expected dtype float64, the module's, for `input` but received float32; convert it with to('float64'), or the module with to('float32')",
    );
  });
});

describe('loadStateDict', () => {
  const make = (): TokenLearner => new TokenLearner({ dim: 2, ffMult: 1, numOutputTokens: 2, device: 'cpu' });
  const whole = (): StateDict => make().stateDict();

  test('keys and shapes are PyTorch’s', () => {
    const shapes = Object.entries(whole()).map(([key, { shape }]) => [key, [...shape]]);
    expect(shapes).toEqual([
      ['net.0.weight', [4, 2, 1, 1]],
      ['net.0.bias', [4]],
      ['net.2.weight', [2, 2, 1, 1]],
      ['net.2.bias', [2]],
    ]);
  });

  test('missing and unexpected keys give PyTorch’s message', () => {
    const { 'net.0.bias': bias, 'net.2.bias': last, ...rest } = whole();
    expectThrow(
      () => make().loadStateDict({ ...rest, extra: bias, more: last } as StateDict),
      'ERR_STATE_DICT',
      'Error(s) in loading state_dict for TokenLearner:\n' +
        '\tMissing key(s) in state_dict: "net.0.bias", "net.2.bias". \n' +
        '\tUnexpected key(s) in state_dict: "extra", "more". ',
    );
    expectThrow(
      () => make().loadStateDict({ ...whole(), 'a\x1b\x9b': bias } as StateDict),
      'ERR_STATE_DICT',
      String.raw`"a\u001b\u{9b}"`,
    );
  });

  test('a wrong shape gives PyTorch’s message, even if not strict', () => {
    const dict = { ...whole(), 'net.2.bias': Tensor.zeros([3]) };
    for (const strict of [true, false]) {
      expectThrow(
        () => make().loadStateDict(dict, { strict }),
        'ERR_STATE_DICT',
        'Error(s) in loading state_dict for TokenLearner:\n\tsize mismatch for net.2.bias: copying a param with shape ' +
          'torch.Size([3]) from checkpoint, the shape in current model is torch.Size([2]).',
      );
    }
  });

  test('if not strict, given parameters are loaded and the others stay', () => {
    const model = make();
    const before = model.stateDict();
    const result = model.loadStateDict(
      { 'net.2.bias': Tensor.ones([2]), extra: Tensor.ones([1]) },
      { strict: false },
    );
    expect(result).toEqual({
      missingKeys: ['net.0.weight', 'net.0.bias', 'net.2.weight'],
      unexpectedKeys: ['extra'],
    });
    expect([...(model.stateDict()['net.2.bias']?.data as Float32Array)]).toEqual([1, 1]);
    expect(model.stateDict()['net.0.weight']?.data).toEqual(before['net.0.weight']?.data);
  });

  test('a dict that does not fit changes nothing', () => {
    const model = new Sequential(make(), new Flatten(), new Linear(4, 1, { device: 'cpu' }));
    const before = model.stateDict();
    const bad = {
      ...new Sequential(make(), new Flatten(), new Linear(4, 1)).stateDict(),
      '2.bias': Tensor.zeros([2]),
    };
    expectThrow(() => model.loadStateDict(bad), 'ERR_STATE_DICT', 'size mismatch for 2.bias');
    for (const [key, tensor] of Object.entries(model.stateDict()))
      expect(tensor.data).toEqual(before[key]?.data);
  });

  test.each(['float64', 'bfloat16', 'float16'] as const)('%s is converted', (dtype) => {
    const model = make();
    const ones = Object.fromEntries(
      Object.entries(whole()).map(([key, { shape }]) => [key, Tensor.ones(shape, { dtype })]),
    );
    model.loadStateDict(ones);
    for (const tensor of model.parameters()) {
      expect(tensor.dtype).toBe('float32');
      expect(new Set(tensor.data as Float32Array)).toEqual(new Set([1]));
    }
  });

  test('strided tensors are loaded in their logical order', () => {
    const linear = new Linear(2, 2, { bias: false, device: 'cpu' });
    linear.loadStateDict({ weight: Tensor.from([1, 2, 3, 4], [2, 2]).transpose(0, 1) });
    expect([...(linear.stateDict().weight?.data as Float32Array)]).toEqual([1, 3, 2, 4]);
  });

  test('loadStateDict and stateDict copy', () => {
    const linear = new Linear(1, 1, { bias: false, device: 'cpu' });
    const weight = Tensor.ones([1, 1]);
    linear.loadStateDict({ weight });
    weight.data[0] = 5;
    (linear.stateDict().weight?.data as Float32Array)[0] = 7;
    expect(linear.forwardSync(Tensor.ones([1])).data[0]).toBe(1);
  });

  test('a forward that was called before keeps the old parameters', async () => {
    const linear = new Linear(1, 1, { bias: false, device: 'cpu' });
    linear.loadStateDict({ weight: Tensor.full([1, 1], 2) });
    const before = linear.forward(Tensor.ones([1]));
    linear.loadStateDict({ weight: Tensor.full([1, 1], 3) });
    const after = linear.forward(Tensor.ones([1]));
    expect([(await before).data[0], (await after).data[0]]).toEqual([2, 3]);
  });

  test('each entry is read from the dict once', () => {
    const linear = new Linear(2, 2, { bias: false, device: 'cpu' });
    let reads = 0;
    const dict = {
      get weight(): Tensor {
        reads += 1;
        return Tensor.zeros(reads === 1 ? [2, 2] : [1, 1]);
      },
    };
    linear.loadStateDict(dict);
    expect(reads).toBe(1);
  });

  test.each([
    ['no object', null, undefined, 'ERR_INVALID_ARG_TYPE'],
    ['no tensors', { weight: [1] }, { strict: false }, 'ERR_INVALID_ARG_TYPE'],
    [
      'integers',
      { weight: Tensor.zeros([1, 1], { dtype: 'int32' }) },
      { strict: false },
      'ERR_DTYPE_MISMATCH',
    ],
    ['a promise', Promise.resolve({}), { strict: false }, 'ERR_INVALID_ARG_TYPE'],
    ['a Set', new Set(), { strict: false }, 'ERR_INVALID_ARG_TYPE'],
    ['an option that is not there', {}, { strickt: false }, 'ERR_INVALID_ARG_VALUE'],
    ['an option of another type', {}, { strict: 1 }, 'ERR_INVALID_ARG_TYPE'],
  ] as const)('%s is refused', (_, dict, options, code) => {
    expectThrow(() => new Linear(1, 1).loadStateDict(dict as never, options as never), code, /`/);
  });
});
