/**
 * Hostile changes to the objects, prototypes and arguments that reach native code. Each must end in a typed error or in correct
 * numbers, and everything else must keep working.
 */
import {
  Batcher,
  Flatten,
  Linear,
  MaxPool2d,
  Sequential,
  type StateDict,
  Tensor,
  TokenLearner,
  TokenLearnerV11,
} from '../../lib';
import { binding, requireLibtorch } from '../../lib/binding';
import type { NativeBinding, TensorArg } from '../../lib/native-interface';
import { flattened, tensorArgument } from '../../lib/tensor/tensor';
import { expectThrow } from './formats/support';

const FLOAT32 = 6;
const FLOAT64 = 7;
const UINT8 = 0;
const CPU = -1;

const native = (): NativeBinding => requireLibtorch('This test');
const argument = (data: Float32Array, shape: number[]): TensorArg =>
  tensorArgument('x', Tensor.from(data, shape));

/** Transfers an array's memory away. */
function detach(array: Float32Array): void {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
}

describe('native code reads all arguments before it uses memory', () => {
  const weight = (): Float32Array => new Float32Array(6).fill(1);

  test('a getter in a configuration that detaches a parameter', () => {
    const data = weight();
    const config = {
      get any(): number {
        detach(data);
        return 1;
      },
    };
    const params = [argument(data, [2, 3])];
    expectThrow(
      () => native().createLayer('linear', config, params, FLOAT32, CPU),
      'ERR_SHAPE_MISMATCH',
      'memory',
    );
  });

  test('a getter in a tensor that detaches the one before it', () => {
    const data = weight();
    const second = argument(new Float32Array(2), [2]);
    const trap = {
      ...second,
      get offset(): number {
        detach(data);
        return 0;
      },
    };
    const params = [argument(data, [2, 3]), trap];
    expectThrow(
      () => native().createLayer('linear', {}, params, FLOAT32, CPU),
      'ERR_SHAPE_MISMATCH',
      'memory',
    );
  });

  test('a number whose valueOf detaches the target', () => {
    const data = weight();
    const from = { valueOf: () => (detach(data), 0) } as unknown as number;
    expectThrow(
      () => {
        binding().uniform(argument(data, [6]), from, 1);
      },
      'ERR_SHAPE_MISMATCH',
      'memory',
    );
  });

  test('an option of forward that detaches the input', () => {
    const data = weight();
    const layer = native().createLayer('relu', {}, [], FLOAT32, CPU);
    const how = {
      get returnAttention(): boolean {
        detach(data);
        return false;
      },
    };
    const input = argument(data, [2, 3]);
    expectThrow(() => native().forwardSync(layer, how, ...flattened(input)), 'ERR_SHAPE_MISMATCH', 'memory');
  });

  test('a getter that disposes a storage', () => {
    const tensor = Tensor.ones([6]);
    const input = {
      ...tensorArgument('x', tensor),
      get offset(): number {
        tensor.dispose();
        return 0;
      },
    };
    expectThrow(() => native().copy(input, FLOAT32, CPU), 'ERR_DISPOSED', 'disposed');
  });
});

describe('native code refuses arguments that would read out of bounds', () => {
  const layer = (): Parameters<NativeBinding['moveLayers']>[0][number] =>
    native().createLayer('linear', {}, [argument(new Float32Array(6), [2, 3])], FLOAT32, CPU);

  test.each([UINT8, 3, 4, 11])('a layer in dtype %d', (dtype) => {
    const params = [argument(new Float32Array(6), [2, 3])];
    expectThrow(
      () => native().createLayer('linear', {}, params, dtype, CPU),
      'ERR_DTYPE_MISMATCH',
      'floating',
    );
    expectThrow(
      () => {
        native().moveLayers([layer()], [dtype], [CPU]);
      },
      'ERR_DTYPE_MISMATCH',
      'floating',
    );
  });

  test.each([-2, 1e9, 0.5, NaN])('a layer on device %d', (device) => {
    expectThrow(
      () => {
        native().moveLayers([layer()], [FLOAT32], [device]);
      },
      'ERR_OUT_OF_RANGE',
      'device',
    );
  });

  test.each([
    ['sizes whose product overflows, under strides of 0', { shape: [2 ** 40, 2 ** 40], strides: [0, 0] }],
    ['strides that overflow', { shape: [2 ** 30, 2], strides: [2 ** 50, 1] }],
    ['an offset behind the end', { offset: 6 }],
    ['more strides than sizes', { strides: [1, 1, 1] }],
  ])('a tensor with %s', (_, change) => {
    const input = { ...argument(new Float32Array(6), [2, 3]), ...change };
    expectThrow(() => native().copy(input, FLOAT32, CPU), 'ERR_SHAPE_MISMATCH', 'memory');
  });

  test('more than 64 dimensions, and memory that starts inside an element', () => {
    const ones = new Array<number>(65).fill(1);
    const input = { ...argument(new Float32Array(6), [2, 3]), shape: ones, strides: ones };
    expectThrow(() => native().copy(input, FLOAT32, CPU), 'ERR_OUT_OF_RANGE', 'dimensions');
    const odd = { ...argument(new Float32Array(2), [2]), storage: new Uint8Array(new ArrayBuffer(32), 1, 8) };
    expectThrow(() => native().copy(odd, FLOAT32, CPU), 'ERR_INVALID_ARG_VALUE', 'aligned');
  });

  test('typed arrays of another length', () => {
    const tensor = argument(new Float32Array(6), [6]);
    expectThrow(
      () => {
        binding().read(tensor, new Float32Array(5));
      },
      'ERR_SHAPE_MISMATCH',
      'length',
    );
    expectThrow(
      () => {
        binding().write(tensor, new Float32Array(7));
      },
      'ERR_SHAPE_MISMATCH',
      'length',
    );
    expectThrow(
      () => {
        binding().fill(tensor, new Float32Array(2));
      },
      'ERR_SHAPE_MISMATCH',
      'element',
    );
  });

  test('the inputs of a forward that are cut off, or whose rank is no number of sizes', () => {
    const relu = native().createLayer('relu', {}, [], FLOAT32, CPU);
    const flat = flattened(argument(new Float32Array(6), [2, 3]));
    for (let length = 1; length < flat.length; length++)
      expect(() => native().forwardSync(relu, undefined, ...flat.slice(0, length))).toThrow('Expected');
    for (const rank of [-1, 0.5, 3, 65, 2 ** 40]) {
      const other = flat.map((item, i) => (i === 3 ? rank : item));
      expect(() => native().forwardSync(relu, undefined, ...other)).toThrow('Expected');
    }
    expectThrow(() => native().forwardSync(relu, undefined), 'ERR_INVALID_ARG_VALUE', 'input');
    expect(native().forwardSync(relu, undefined, ...flat)).toHaveLength(1);
  });

  test('the number of a storage that is gone, and one that never was', () => {
    const handle = binding().allocate(16, true, false);
    const { id } = handle;
    const layer = native().createLayer('relu', {}, [], FLOAT32, CPU);
    const use = (number: number) => () =>
      native().forwardSync(layer.id, undefined, number, FLOAT32, 0, 1, 4, 1);
    expect(use(id)()).toHaveLength(1);
    binding().disposeStorage(id);
    expectThrow(use(id), 'ERR_DISPOSED', 'disposed');
    binding().disposeStorage(handle);
    for (const number of [-1, 0, 2 ** 50]) {
      expectThrow(use(number), 'ERR_INVALID_ARG_TYPE', 'storage');
      expectThrow(
        () => {
          binding().disposeStorage(number);
        },
        'ERR_INVALID_ARG_TYPE',
        'storage',
      );
    }
  });

  test('memory that is already shared with JavaScript', () => {
    const handle = binding().allocate(16, true, false);
    const [buffer, lent] = binding().share(handle);
    expect([buffer.byteLength, lent]).toEqual([16, true]);
    expectThrow(() => binding().share(handle), 'ERR_DETACHED', 'already');
  });
});

describe('a change is made completely or not at all', () => {
  const tensors = (module: { stateDict(): StateDict }): number[][] =>
    Object.values(module.stateDict()).map((tensor) => [...(tensor.data as Float32Array)]);

  test('moving several layers, one of which cannot be moved', () => {
    const make = (): Parameters<NativeBinding['moveLayers']>[0][number] =>
      native().createLayer('linear', {}, [argument(new Float32Array(6), [2, 3])], FLOAT32, CPU);
    const layers = [make(), make()];
    expectThrow(
      () => {
        native().moveLayers(layers, [FLOAT64, UINT8], [CPU, CPU]);
      },
      'ERR_DTYPE_MISMATCH',
      'floating',
    );
    const input = argument(new Float32Array(3), [3]);
    for (const layer of layers) {
      expect(native().forwardSync(layer, undefined, ...flattened(input))).toHaveLength(1);
    }
  });

  test('a Sequential with a disposed module', () => {
    const first = new Linear(3, 3, { device: 'cpu' });
    const second = new Linear(3, 3, { device: 'cpu' });
    const both = new Sequential(first, second);
    second.dispose();
    expectThrow(() => both.to('float64'), 'ERR_DISPOSED', 'disposed');
    expect(first.dtype).toBe('float32');
    expect(first.forwardSync(Tensor.ones([3])).shape).toEqual([3]);
  });

  test('a state dict with a getter that disposes a later tensor', () => {
    const both = new Sequential(new Linear(3, 2, { device: 'cpu' }), new Linear(2, 2, { device: 'cpu' }));
    const before = tensors(both);
    const dict = Object.fromEntries(
      Object.entries(both.stateDict()).map(([name, tensor]) => [name, Tensor.full(tensor.shape, 9)]),
    );
    const last = dict['1.bias'];
    const trap = Object.defineProperty({ ...dict }, '1.weight', {
      enumerable: true,
      get: () => {
        last?.dispose();
        return dict['1.weight'];
      },
    }) as StateDict;
    expectThrow(() => both.loadStateDict(trap), 'ERR_DISPOSED', 'disposed');
    expect(tensors(both)).toEqual(before);
  });
});

describe('prototypes and globals', () => {
  const model = new TokenLearner({ dim: 4, device: 'cpu' });

  /** Runs `use` while a property is changed. */
  function changed<T>(object: object, name: PropertyKey, descriptor: PropertyDescriptor, use: () => T): T {
    const original = Object.getOwnPropertyDescriptor(object, name);
    Object.defineProperty(object, name, { configurable: true, ...descriptor });
    try {
      return use();
    } finally {
      if (original === undefined) Reflect.deleteProperty(object, name);
      else Object.defineProperty(object, name, original);
    }
  }

  test('options are not read from Object.prototype', () => {
    const polluted = (name: string, value: unknown, use: () => unknown): unknown =>
      changed(Object.prototype, name, { value, writable: true, enumerable: true }, use);
    expect(polluted('dtype', 'float64', () => Tensor.zeros([1], {}).dtype)).toBe('float32');
    expect(
      polluted('numOutputTokens', 3, () => new TokenLearner({ dim: 2, device: 'cpu' }).numParameters),
    ).toBe(new TokenLearner({ dim: 2, device: 'cpu' }).numParameters);
    expect(
      polluted('returnAttention', true, () => model.forwardSync(Tensor.zeros([4, 2, 2]), {})),
    ).toBeInstanceOf(Tensor);
    expect(polluted('ceilMode', true, () => new MaxPool2d(2).outputShape([1, 3, 3]))).toEqual([1, 1, 1]);
  });

  test.each(['value', 'writable', 'set'])('%s on Object.prototype does not reach new tensors', (name) => {
    const made = changed(Object.prototype, name, { value: undefined, writable: true }, () =>
      Tensor.ones([2]),
    );
    expect(Object.keys(made)).toEqual(['cloning', 'contents']);
    expect(made).toEqual(Tensor.ones([2]));
  });

  test.each(['min', 'max'])('%s on Object.prototype does not limit numbers', (name) => {
    expect(
      changed(Object.prototype, name, { value: 5, writable: true }, () => Tensor.zeros([3, 8]).shape),
    ).toEqual([3, 8]);
  });

  const dict = new TokenLearnerV11({ dim: 16, device: 'cpu' }).stateDict();
  const ofDict = (): unknown => {
    const { variant, dim, numOutputTokens } = TokenLearnerV11.fromStateDict(dict, { device: 'cpu' });
    return { variant, dim, numOutputTokens };
  };
  const batched = async (options: object): Promise<unknown> => {
    const batcher = new Batcher(model);
    const result = batcher.forward(Tensor.ones([4, 2, 2]), options);
    return result.then(({ shape }) => shape).finally(() => batcher.close());
  };
  test.each<[string, unknown, () => unknown]>([
    ['step', 2, () => Tensor.arange(6).narrow(0, 0, 3).toArray()],
    ['shown', Uint8Array, () => Tensor.ones([2]).data],
    ['float32', { min: 0, max: 0 }, () => Tensor.full([2], 0.5).toArray()],
    ['signal', AbortSignal.abort(), () => batched({ timeoutMs: 10_000 })],
    ['signal', AbortSignal.abort(), () => model.forward(Tensor.ones([4, 2, 2]), { timeoutMs: 10_000 })],
    ['timeoutMs', 0, () => batched({ signal: new AbortController().signal })],
    ['priority', 7, () => batched({})],
    ['batchRunnable', () => undefined, () => batched({})],
    [
      'placement',
      { device: 'cpu', dtype: 'int64' },
      () => new Flatten().forwardSync(Tensor.ones([2, 2])).shape,
    ],
    ...['C', 'D', 'G', 'N', 'misfit'].map((name): [string, unknown, () => unknown] => [name, 5, ofDict]),
  ])('%s on Object.prototype changes nothing', async (name, value, use) => {
    const expected = await use();
    const result = changed(Object.prototype, name, { value, writable: true }, use);
    expect(await result).toEqual(expected);
  });

  test('a shape with its own iterator', () => {
    const shape = Object.assign([2, 3], {
      *[Symbol.iterator]() {
        for (let i = 0; i < 100; i++) yield 1;
      },
    });
    expect(Tensor.zeros(shape).shape).toEqual([2, 3]);
    expect(Tensor.zeros([6]).reshape(shape).shape).toEqual([2, 3]);
    expect(new Linear(3, 2, { device: 'cpu' }).outputShape(shape)).toEqual([2, 2]);
    expect(Tensor.zeros([3, 2]).permute(Object.assign([1, 0], { [Symbol.iterator]: null })).shape).toEqual([
      2, 3,
    ]);
  });
});
