import {
  Flatten,
  Linear,
  MaxPool2d,
  type Module,
  ReLU,
  Sequential,
  Tensor,
  TokenLearner,
} from '../../../lib';
import { expectThrow } from '../formats/support';

const head = (): Sequential =>
  new Sequential(
    new TokenLearner({ dim: 64, device: 'cpu' }),
    new Flatten(),
    new Linear(64 * 8, 10, { device: 'cpu' }),
  );

test('the documented integration with other modules', async () => {
  const model = new Sequential(new TokenLearner({ dim: 64 }), new Flatten(), new Linear(64 * 8, 10));
  const output = await model.forward(Tensor.randn([1, 64, 32, 32]));
  expect(output.shape).toEqual([1, 10]);
});

test('pooling before the TokenLearner, for large inputs', async () => {
  const model = new Sequential(new MaxPool2d(4), new TokenLearner({ dim: 16 }));
  expect((await model.forward(Tensor.randn([1, 16, 128, 128]))).shape).toEqual([1, 16, 8]);
});

test('gives the same results as its modules called one after the other', () => {
  const model = head();
  const x = Tensor.randn([2, 64, 5, 5]);
  let expected: Tensor = x;
  for (const module of model) expected = module.forwardSync(expected) as Tensor;
  expect(model.forwardSync(x).data).toEqual(expected.data);
});

test('names parameters by position, also in nested modules', () => {
  const nested = new Sequential(head(), new Sequential(new ReLU(), new Linear(10, 2)));
  expect(Object.keys(nested.stateDict())).toEqual([
    '0.0.net.0.weight',
    '0.0.net.0.bias',
    '0.0.net.2.weight',
    '0.0.net.2.bias',
    '0.2.weight',
    '0.2.bias',
    '1.1.weight',
    '1.1.bias',
  ]);
  expect(nested.forwardSync(Tensor.randn([3, 64, 2, 2])).shape).toEqual([3, 2]);
});

test('loading a state dict changes the modules themselves', () => {
  const linear = new Linear(1, 1, { bias: false, device: 'cpu' });
  const model = new Sequential(linear);
  model.loadStateDict({ '0.weight': Tensor.full([1, 1], 3) });
  expect(linear.forwardSync(Tensor.ones([1])).data[0]).toBe(3);
  linear.loadStateDict({ weight: Tensor.full([1, 1], 4) });
  expect(model.forwardSync(Tensor.ones([1])).data[0]).toBe(4);
  expectThrow(
    () => model.loadStateDict({}),
    'ERR_STATE_DICT',
    'Error(s) in loading state_dict for Sequential:\n\tMissing key(s) in state_dict: "0.weight". ',
  );
});

test('reads like PyTorch’s', () => {
  expect(String(new Sequential(new Sequential(new ReLU()), new Flatten()))).toBe(
    `Sequential(
  (0): Sequential(
    (0): ReLU()
  )
  (1): Flatten(start_dim=1, end_dim=-1)
)`,
  );
});

test('is a list of modules', () => {
  const modules: Module[] = [new ReLU(), new Flatten()];
  const model = new Sequential(...modules);
  expect(model.length).toBe(2);
  expect([...model]).toEqual(modules);
  expect(model.at(0)).toBe(modules[0]);
  expect(model.at(-1)).toBe(modules[1]);
  expect(model.at(2)).toBeUndefined();
  expectThrow(() => model.at('0' as never), 'ERR_INVALID_ARG_TYPE', '`index`');
});

test('device and dtype are those of its parameters', () => {
  const model = head().to('float64');
  expect(model).toMatchObject({ device: 'cpu', dtype: 'float64' });
  expect(new Sequential(new ReLU())).toMatchObject({ device: 'cpu', dtype: 'float32' });
});

test('an input that does not fit an inner module is refused before anything runs', () => {
  expectThrow(
    () => head().forwardSync(Tensor.zeros([1, 63, 4, 4])),
    'ERR_SHAPE_MISMATCH',
    'Expected 64 channels',
  );
  const wrong = new Sequential(new Linear(2, 3, { device: 'cpu' }), new Linear(2, 3, { device: 'cpu' }));
  expectThrow(() => wrong.forwardSync(Tensor.zeros([2])), 'ERR_SHAPE_MISMATCH', 'received (3,)');
});

test('disposing it disposes its modules; a disposed module makes it unusable', () => {
  const [relu, flatten] = [new ReLU(), new Flatten()];
  new Sequential(relu).dispose();
  expect(relu.disposed).toBe(true);
  const model = new Sequential(flatten);
  flatten.dispose();
  expectThrow(() => model.forwardSync(Tensor.zeros([2, 2])), 'ERR_DISPOSED', 'Flatten');
});

test('takes only modules, and at least one', () => {
  expectThrow(() => new Sequential(), 'ERR_INVALID_ARG_VALUE', 'at least one module');
  expectThrow(() => new Sequential(new ReLU(), {} as never), 'ERR_INVALID_ARG_TYPE', '`modules[1]`');
  expectThrow(() => new Sequential([new ReLU()] as never), 'ERR_INVALID_ARG_TYPE', '`modules[0]`');
  const disposed = new ReLU();
  disposed.dispose();
  expectThrow(() => new Sequential(disposed), 'ERR_DISPOSED', 'ReLU');
});
