import { AssertionError } from 'node:assert';
import { type AnyTensor, assertAllClose, Tensor } from '../../../lib';
import { expectThrow } from '../formats/support';

/** The message of the AssertionError that `use` throws. */
function failure(use: () => void): string {
  try {
    use();
  } catch (error) {
    expect((error as Error).name).toBe('AssertionError');
    expect((error as AssertionError).code).toBe('ERR_ASSERTION');
    return (error as Error).message;
  }
  throw new Error('the assertion passed');
}

test('equals compares dtype, shape and elements', () => {
  const tensor = Tensor.from([
    [1, 2],
    [3, 4],
  ]);
  expect(tensor.equals(tensor.clone())).toBe(true);
  expect(tensor.T.equals(tensor)).toBe(false);
  expect(tensor.T.T.equals(tensor)).toBe(true);
  expect(tensor.equals(tensor.flatten())).toBe(false);
  expect(tensor.equals(tensor.to('float64'))).toBe(false);
  expect(Tensor.zeros([0, 2]).equals(Tensor.zeros([0, 3]))).toBe(false);
  expect(Tensor.from([NaN]).equals(Tensor.from([NaN]))).toBe(false);
  expect(Tensor.from([-0]).equals(Tensor.from([0]))).toBe(true);
  const wide = (n: bigint): AnyTensor => Tensor.from(BigInt64Array.of(n));
  expect(wide(2n ** 62n).equals(wide(2n ** 62n + 1n))).toBe(false);
  expectThrow(() => tensor.equals([1] as never), 'ERR_INVALID_ARG_TYPE', '`other`');
});

test.each<[number, number, object, boolean]>([
  [1, 1 + 9e-6, {}, true],
  [1, 1 + 2e-5, {}, false],
  [0, 1e-8, {}, true],
  [0, 2e-8, {}, false],
  [1.5, 1, { atol: 0.5, rtol: 0 }, true],
  [1.5, 1, { atol: 0.25, rtol: 0.25 }, true],
  // The tolerance is relative to the second tensor.
  [2, 1, { atol: 0, rtol: 0.6 }, false],
  [1, 2, { atol: 0, rtol: 0.6 }, true],
  [1, 1, { atol: 0, rtol: 0 }, true],
  [Infinity, Infinity, {}, true],
  [Infinity, Infinity, { rtol: 0, atol: 0 }, true],
  [Infinity, -Infinity, {}, false],
  [1, Infinity, {}, false],
  [Infinity, 1e300, { rtol: 1 }, false],
  [NaN, NaN, {}, false],
  [NaN, NaN, { equalNan: true }, true],
  [NaN, 1, { equalNan: true }, false],
])('allClose of %p and %p with %p', (a, b, options, expected) => {
  const of = (value: number): Tensor<'float64'> => Tensor.full([2], value, { dtype: 'float64' });
  expect(of(a).allClose(of(b), options)).toBe(expected);
});

test('allClose of integers and of bool', () => {
  const wide = (n: bigint): AnyTensor => Tensor.from(BigInt64Array.of(n));
  const exact = { rtol: 0, atol: 0 };
  expect(wide(2n ** 62n).allClose(wide(2n ** 62n + 1n), exact)).toBe(false);
  expect(wide(2n ** 62n).allClose(wide(2n ** 62n + 1n), { rtol: 0, atol: 1 })).toBe(true);
  const flags = Tensor.from([true, false], undefined, { dtype: 'bool' });
  expect(flags.allClose(flags.clone())).toBe(true);
  expect(flags.allClose(Tensor.zeros([2], { dtype: 'bool' }))).toBe(false);
});

test('allClose refuses tensors of another dtype or shape, and wrong tolerances', () => {
  const tensor = Tensor.ones([2]);
  expectThrow(() => tensor.allClose(tensor.to('float64')), 'ERR_DTYPE_MISMATCH', '`other`');
  expectThrow(() => tensor.allClose(Tensor.ones([1, 2])), 'ERR_SHAPE_MISMATCH', '`other`');
  expectThrow(() => tensor.allClose(tensor, { atol: -1 }), 'ERR_OUT_OF_RANGE', 'atol');
  expectThrow(() => tensor.allClose(tensor, { tolerance: 1 } as never), 'ERR_INVALID_ARG_VALUE', 'rtol');
});

describe('assertAllClose', () => {
  const expected = Tensor.from([
    [1, 2, 3],
    [4, 5, 6],
  ]);

  test('passes for close tensors', () => {
    assertAllClose(expected.clone(), expected);
    assertAllClose(Tensor.from([NaN]), Tensor.from([NaN]), { equalNan: true });
    assertAllClose(Tensor.zeros([0]), Tensor.zeros([0]));
  });

  test('names the worst element', () => {
    const actual = expected.clone();
    actual.data.set([1.25, 2, 3, 4, 7.5, 6]);
    expect(
      failure(() => {
        assertAllClose(actual, expected, { rtol: 0, atol: 0.125 });
      }),
    ).toBe(
      'Expected elements within rtol 0 and atol 0.125, but 2 of 6 are not. ' +
        'The worst is at [1, 1]: expected 5 but received 7.5, a difference of 2.5 where 0.125 is allowed',
    );
    actual.data[2] = NaN;
    expect(
      failure(() => {
        assertAllClose(actual, expected);
      }),
    ).toMatch(/3 of 6 .* at \[0, 2\]: expected 3 but received NaN/);
  });

  test('names another dtype or shape', () => {
    const fail = (actual: AnyTensor): string =>
      failure(() => {
        assertAllClose(actual, expected);
      });
    expect(fail(expected.flatten())).toBe('Expected shape (2, 3) but received (6,)');
    expect(fail(expected.to('float64'))).toBe('Expected dtype float32 but received float64');
  });

  test('refuses what is not a tensor, and disposed tensors', () => {
    const disposed = Tensor.ones([1]);
    disposed.dispose();
    const use = (actual: unknown) => () => {
      assertAllClose(actual as AnyTensor, expected);
    };
    expectThrow(use([1]), 'ERR_INVALID_ARG_TYPE', '`actual`');
    expectThrow(use(disposed), 'ERR_DISPOSED', '`actual`');
  });
});
