import { Batcher, type Module, Tensor, TokenLearner } from '../../../lib';

const model = new TokenLearner({ dim: 64, device: 'cpu', intraOpThreads: 1 });
const shape = [1, 64, 32, 32];
const first = Tensor.randn(shape);
const second = Tensor.randn(shape);
const expected = [first, second].map((x) => model.forwardSync(x));

/** Holds the device while forwards after it wait. */
function hold(): Promise<Tensor> {
  return model.forward(Tensor.ones([4, 64, 64, 64]));
}

/** Two forwards with one tensor, which is written in between and after them. */
async function overwritten(forward: (x: Tensor) => Promise<Tensor>): Promise<Tensor[]> {
  const x = Tensor.empty(shape);
  const before = hold();
  const pending = [first, second].map((values) => forward(x.copyFrom(values.data)));
  x.copyFrom(new Float32Array(x.numel));
  const results = await Promise.all([...pending, before]);
  expect(x.sum().item()).toBe(0);
  return results.slice(0, 2);
}

test.each<[string, Module | Batcher]>([
  ['forward', model],
  ['Batcher.forward', new Batcher(model)],
])('%s gives the result of the elements at its call, whatever copyFrom writes later', async (_, runner) => {
  const results = await overwritten((x) => (runner as TokenLearner).forward(x));
  for (const [i, result] of results.entries()) expect(expected[i]?.equals(result)).toBe(true);
  if (runner instanceof Batcher) await runner.close();
});

test('asynchronous copies have the elements of their call', async () => {
  const x = Tensor.ones([1_000_000]);
  const before = hold();
  const copies = [x.cloneAsync(), x.toAsync('float64')];
  x.copyFrom(new Float32Array(x.numel));
  for (const copy of await Promise.all(copies)) expect(copy.sum().item()).toBe(1_000_000);
  await before;
});

test('a part of a tensor is written while a forward reads all of it', async () => {
  const x = first.clone();
  const before = hold();
  const pending = model.forward(x);
  x.narrow(1, 0, 1).copyFrom(new Float32Array(32 * 32).fill(5));
  expect(expected[0]?.equals(await pending)).toBe(true);
  expect(x.narrow(1, 1, 63).equals(first.narrow(1, 1, 63))).toBe(true);
  expect(x.narrow(1, 0, 1).sum().item()).toBe(5 * 32 * 32);
  await before;
});
