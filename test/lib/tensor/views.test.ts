import { Tensor } from '../../../lib';
import { binding } from '../../../lib/binding';
import { typedArrayOf } from '../../../lib/tensor/typed-array';
import { expectThrow } from '../formats/support';

jest.mock('../../../lib/tensor/typed-array', () => {
  const actual = jest.requireActual<typeof import('../../../lib/tensor/typed-array')>(
    '../../../lib/tensor/typed-array',
  );
  return { ...actual, typedArrayOf: jest.fn(actual.typedArrayOf) };
});

const source = (): Tensor =>
  Tensor.from(
    Float32Array.from({ length: 24 }, (_, i) => i),
    [2, 3, 4],
  );

test.each<[string, (tensor: Tensor) => Tensor]>([
  ['narrow', (t) => t.narrow(1, 1, 2)],
  ['select', (t) => t.select(0, 1)],
  ['slice', (t) => t.slice(2, 1, 4, 2)],
  ['squeeze', (t) => t.unsqueeze(0).squeeze(0)],
  ['unsqueeze', (t) => t.unsqueeze(1)],
  ['view', (t) => t.view([6, 4])],
  ['flatten', (t) => t.flatten(1)],
  ['T', (t) => t.select(0, 1).T],
  ['unbind', (t) => t.unbind(1).at(-1) ?? t],
])('%s shares the memory', (_, use) => {
  const tensor = source();
  const view = use(tensor);
  const index = view.shape.map(() => 0);
  const first = (list: unknown): unknown => (Array.isArray(list) ? first(list[0]) : list);
  const at = Number(first(view.toArray()));
  tensor.data[at] = 99;
  expect(index.reduce((list: unknown, i) => (list as unknown[])[i], view.toArray())).toBe(99);
});

test('flatten copies if the strides do not allow a view, and view then refuses', () => {
  const { T } = source().select(0, 0);
  const flat = T.flatten();
  expect(flat.toArray()).toEqual([0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
  flat.data[0] = 5;
  expect(T.select(0, 0).toArray()).toEqual([0, 4, 8]);
  expectThrow(() => T.view([12]), 'ERR_NOT_CONTIGUOUS', 'reshape()');
  expectThrow(() => source().view([5]), 'ERR_SHAPE_MISMATCH', '24 elements');
});

test('views of tensors without elements stay inside the memory', () => {
  const empty = Tensor.zeros([3, 0, 2]);
  expect(empty.select(0, 2).toArray()).toEqual([]);
  expect(empty.select(0, 2).data.length).toBe(0);
  expect(Tensor.zeros([3]).slice(0, 3).data.length).toBe(0);
  expect(empty.unbind(2).map((view) => view.shape)).toEqual([
    [3, 0],
    [3, 0],
  ]);
});

test('a slice of one element can be read, whatever the step', () => {
  for (const step of [2, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
    const row = source().slice(1, 1, undefined, step);
    expect(row.shape).toEqual([2, 1, 4]);
    expect(row.contiguous().toArray()).toEqual(source().slice(1, 1, 2).toArray());
    expect(row.to('float64').sum().item()).toBe(row.to('float64').contiguous().sum().item());
  }
});

test('the elements of a view are read without those that lie between them', () => {
  const grid = Tensor.from(
    Int32Array.from({ length: 3 * 4 * 500 }, (_, i) => i),
    [3, 4, 500],
  );
  const view = grid.narrow(1, 1, 2).slice(2, 7, 500, 400).permute([2, 0, 1]);
  jest.mocked(typedArrayOf).mockClear();
  const values = [0, 400].map((k) => [0, 2000, 4000].map((i) => [507, 1007].map((j) => i + j + k)));
  expect(view.toArray()).toEqual(values);
  expect(view.sum().item()).toBe(35_484n);
  expect(new Set(jest.mocked(typedArrayOf).mock.calls.map(([length]) => length))).toEqual(new Set([12, 1]));
});

test('strided 16-bit floats keep their bits, NaN too', () => {
  const bits = Uint16Array.of(0x7e01, 0x3c00, 0xfdab, 0x0001, 0x7d00, 0x8000);
  const bytes = bits.buffer;
  for (const dtype of ['float16', 'bfloat16'] as const) {
    const columns = Tensor.fromBuffer(bytes, dtype, [3, 2]).T.contiguous();
    expect([...new Uint16Array(columns.detachBuffer())]).toEqual([0, 2, 4, 1, 3, 5].map((i) => bits[i]));
    const joined = Tensor.cat([Tensor.fromBuffer(bytes, dtype, [3, 2]).T]);
    expect([...new Uint16Array(joined.detachBuffer())]).toEqual([0, 2, 4, 1, 3, 5].map((i) => bits[i]));
  }
});

test('views of views add their offsets', () => {
  const tensor = source().select(0, 1).narrow(0, 1, 2).slice(1, 1, undefined, 2);
  expect(tensor.toArray()).toEqual([
    [17, 19],
    [21, 23],
  ]);
  expect(source().select(0, 1).select(0, 2).select(0, 3).item()).toBe(23);
});

test('a view keeps the memory when its source is disposed', () => {
  const before = binding().counters().liveTensors;
  const tensor = Tensor.ones([2, 2]);
  const row = tensor.select(0, 1);
  tensor.dispose();
  expect(row.toArray()).toEqual([1, 1]);
  row.dispose();
  expect(binding().counters().liveTensors).toBe(before);
});

test('what does not exist is refused', () => {
  const [tensor, scalar] = [source(), Tensor.full([], 1)];
  expectThrow(() => tensor.narrow(3, 0, 1), 'ERR_OUT_OF_RANGE', '`dim`');
  expectThrow(() => tensor.narrow(1, 2, 2), 'ERR_OUT_OF_RANGE', '`length`');
  expectThrow(() => tensor.narrow(1, 4, 0), 'ERR_OUT_OF_RANGE', '`start`');
  expectThrow(() => tensor.select(1, 3), 'ERR_OUT_OF_RANGE', '`index`');
  expectThrow(() => tensor.select(1, -4), 'ERR_OUT_OF_RANGE', '`index`');
  expectThrow(() => tensor.slice(0, 0, 1, 0), 'ERR_OUT_OF_RANGE', '`step`');
  expectThrow(() => tensor.slice(0, 0.5), 'ERR_OUT_OF_RANGE', '`start`');
  expectThrow(() => tensor.squeeze(3), 'ERR_OUT_OF_RANGE', '`dim`');
  expectThrow(() => tensor.unsqueeze(4), 'ERR_OUT_OF_RANGE', '`dim`');
  expectThrow(() => tensor.flatten(1, 0), 'ERR_OUT_OF_RANGE', '`endDim`');
  for (const use of [() => scalar.select(0, 0), () => scalar.unbind(), () => scalar.slice(0)])
    expectThrow(use, 'ERR_SHAPE_MISMATCH', 'dimension');
  expectThrow(() => Tensor.zeros(new Array<number>(64).fill(1)).unsqueeze(0), 'ERR_OUT_OF_RANGE', '64');
});

test('T reverses the dimensions', () => {
  expect(source().T).toMatchObject({ shape: [4, 3, 2], strides: [1, 4, 12] });
  expect(Tensor.ones([3]).T.shape).toEqual([3]);
});

test('item and toArray give JavaScript’s values', () => {
  expect(Tensor.full([1, 1], 2n, { dtype: 'int64' }).item()).toBe(2n);
  expect(Tensor.full([], true, { dtype: 'bool' }).item()).toBe(true);
  expect(Tensor.full([1], 0.5, { dtype: 'float16' }).item()).toBe(0.5);
  expect(Tensor.from([[1], [0]], undefined, { dtype: 'bool' }).toArray()).toEqual([[true], [false]]);
  expect(Tensor.full([], NaN).toArray()).toBe(NaN);
  expectThrow(() => Tensor.ones([2]).item(), 'ERR_SHAPE_MISMATCH', '(2,)');
});

test('short names for conversions', () => {
  const tensor = Tensor.ones([2]);
  expect(tensor.half().dtype).toBe('float16');
  expect(tensor.half().float().dtype).toBe('float32');
  expect(tensor.float()).toBe(tensor);
  expect(tensor.cpu()).toBe(tensor);
  const wide: Tensor = Tensor.ones([2], { dtype: 'float64' }).float();
  expect(wide.dtype).toBe('float32');
});

describe('iteration over the first dimension', () => {
  test('gives views of the rows', () => {
    const tensor = source();
    const rows: Tensor[] = [];
    for (const row of tensor as Iterable<Tensor>) rows.push(row);
    expect(rows.map(({ shape }) => shape)).toEqual([
      [3, 4],
      [3, 4],
    ]);
    expect(rows[1]?.equals(tensor.select(0, 1))).toBe(true);
    tensor.data[12] = -1;
    expect(rows[1]?.data[0]).toBe(-1);
  });

  test('gives the elements of one dimension', () => {
    expect([...Tensor.from([1.5, 2])]).toEqual([1.5, 2]);
    expect([...Tensor.from([3n])]).toEqual([3n]);
    expect([...Tensor.from([true, false])]).toEqual([true, false]);
    expect([...Tensor.ones([2, 1], { dtype: 'bfloat16' }).select(1, 0)]).toEqual([1, 1]);
    expect([...Tensor.zeros([0, 3])]).toEqual([]);
  });

  test('neither a single number nor a disposed tensor is iterable; one that is disposed meanwhile is an error', () => {
    const gone = Tensor.ones([2]);
    gone.dispose();
    for (const tensor of [Tensor.from(1), gone]) {
      expect(() => {
        for (const row of tensor) expect(row).toBeUndefined();
      }).toThrow(TypeError);
    }
    const tensor = source();
    const rows = tensor[Symbol.iterator]();
    rows.next();
    tensor.dispose();
    expectThrow(() => rows.next(), 'ERR_DISPOSED', '');
  });

  // jest compares iterable objects by iterating over them.
  test('leaves comparisons as they are', () => {
    const rows = Tensor.from([
      [1, 2],
      [3, 4],
    ]);
    expect(rows).toEqual(Tensor.from([1, 3, 2, 4], [2, 2]).T);
    expect(rows).not.toEqual(rows.T);
    expect(Tensor.from([1])).not.toEqual(Tensor.from([1], { dtype: 'float64' }));
    expect(Tensor.from(1)).not.toEqual(Tensor.from(2));
    expect(Tensor.zeros([0, 2])).not.toEqual(Tensor.zeros([0, 3]));
    const gone = Tensor.ones([2]);
    gone.dispose();
    expect(gone).not.toEqual(Tensor.ones([2]));
  });
});

test('transpose of a tensor without dimensions is the tensor, as in PyTorch', () => {
  expect(Tensor.from(3).transpose(0, -1).item()).toBe(3);
  expectThrow(() => Tensor.from(3).transpose(0, 1), 'ERR_OUT_OF_RANGE', '`second`');
});
