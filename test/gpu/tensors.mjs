/** Tensors and the other modules on the GPU, against the CPU. */
import {
  Conv2d,
  Flatten,
  GELU,
  LayerNorm,
  Linear,
  MaxPool2d,
  ReLU,
  Sequential,
  Tensor,
  TokenLearner,
} from '../../dist/index.mjs';
import { attempt } from './attempt.mjs';
import { numbers, relativeError } from './numbers.mjs';

const DTYPES = ['float32', 'float64', 'float16', 'bfloat16', 'int32', 'int64', 'uint8', 'bool'];

/** In float32, of modules that libtorch computes. A float32 sum of some hundred products stays far below. */
const CEILING = 2e-6;

/** Each makes a view of a tensor of shape (4, 6, 5, 3). */
const VIEWS = {
  'the tensor itself': (x) => x,
  permuted: (x) => x.permute([0, 2, 3, 1]),
  'a slice': (x) => x.slice(1, 1, 5),
  'every second': (x) => x.slice(1, 0, 6, 2),
  'one image': (x) => x.select(0, 2),
  transposed: (x) => x.transpose(1, 3),
  empty: (x) => x.slice(0, 0, 0),
};

function checkRoundTrips(check, device) {
  for (const dtype of DTYPES) {
    const x = Tensor.arange(4 * 6 * 5 * 3)
      .to(dtype)
      .reshape([4, 6, 5, 3]);
    const wrong = Object.entries(VIEWS).filter(([, view]) => {
      const expected = view(x);
      const there = view(x).to(device);
      const viewed = view(x.to(device));
      const back = [
        there.to('cpu'),
        viewed.to('cpu'),
        viewed.contiguous().to('cpu'),
        viewed.clone().to('cpu'),
      ];
      return !back.every((each) => each.equals(expected) && each.dtype === dtype);
    });
    check(
      `tensors: ${dtype} to the GPU and back`,
      wrong.length === 0,
      wrong.map(([name]) => name).join(', '),
    );
  }
}

function checkConversions(check, device) {
  const x = Tensor.randn([33, 47]);
  const wrong = DTYPES.flatMap((from) =>
    DTYPES.filter((to) => !x.to(from).to(device).to(to).to('cpu').equals(x.to(from).to(to))).map(
      (to) => `${from} to ${to}`,
    ),
  );
  check(
    'tensors: conversions of dtype on the GPU have the bits of the CPU',
    wrong.length === 0,
    wrong.join(', '),
  );
}

function checkPinned(check, device) {
  if (device === 'cpu') return;
  const pinned = Tensor.empty([3, 5, 7], { pinned: true });
  pinned.data.set(Tensor.randn([3, 5, 7]).data);
  const back = pinned.to(device).to('cpu');
  check('tensors: page-locked memory to the GPU and back', back.equals(pinned));
  const view = pinned.permute([2, 0, 1]);
  check('tensors: a view of page-locked memory', view.to(device).to('cpu').equals(view));
}

const MODULES = [
  ['Linear', [7, 129], () => new Linear(129, 70, { device: 'cpu' })],
  ['Conv2d', [2, 3, 33, 35], () => new Conv2d(3, 24, 3, { stride: 2, padding: 1, device: 'cpu' })],
  ['Conv2d of 1x1', [2, 64, 14, 14], () => new Conv2d(64, 96, 1, { device: 'cpu' })],
  [
    'Conv2d in groups',
    [2, 24, 17, 19],
    () => new Conv2d(24, 48, 5, { groups: 24, padding: 2, device: 'cpu' }),
  ],
  ['LayerNorm', [5, 7, 96], () => new LayerNorm(96, { device: 'cpu' })],
  ['GELU', [3, 1000], () => new GELU()],
  ['GELU tanh', [3, 1000], () => new GELU({ approximate: 'tanh' })],
  ['ReLU', [3, 1000], () => new ReLU()],
  ['MaxPool2d', [2, 5, 17, 19], () => new MaxPool2d(3, { stride: 2, padding: 1 })],
  [
    'Sequential',
    [2, 3, 32, 32],
    () =>
      new Sequential(
        new Conv2d(3, 64, 3, { padding: 1, device: 'cpu' }),
        new GELU(),
        new MaxPool2d(2),
        new TokenLearner({ dim: 64, device: 'cpu' }),
        new Flatten(),
        new Linear(64 * 8, 10, { device: 'cpu' }),
      ),
  ],
];

async function checkModule(check, device, [name, shape, make]) {
  const x = Tensor.randn(shape);
  const module = make();
  const exact = numbers(await module.to('float64').forward(x.to('float64')));
  module.to('float32').to(device);
  const there = await module.forward(x.to(device));
  const error = relativeError(numbers(there), exact);
  const fromHost = await module.forward(x);
  check(`modules: ${name}`, error <= CEILING, `${error.toExponential(2)}, allowed ${CEILING}`);
  check(
    `modules: ${name}: the result is where the input is`,
    there.device === x.to(device).device && fromHost.device === 'cpu',
  );
}

export async function runTensors(check, { device }) {
  await attempt(check, 'tensors', () => checkRoundTrips(check, device));
  await attempt(check, 'conversions', () => checkConversions(check, device));
  await attempt(check, 'pinned memory', () => checkPinned(check, device));
  for (const each of MODULES)
    await attempt(check, `modules: ${each[0]}`, () => checkModule(check, device, each));
}
