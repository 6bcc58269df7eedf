import {
  checkInputsOption,
  checkSizes,
  encodeInput,
  joinSignatures,
  Symbols,
} from '../../../lib/aoti/signature';
import type { ProgramInput } from '../../../lib/aoti/signature';
import type { AotiSignature } from '../../../lib/aoti/types';

const rows = { name: 'rows', min: 1, max: 1024 };
const known: AotiSignature = {
  source: 'wrapper',
  inputs: [
    { name: 'input_0', dtype: 'float32', shape: [rows, 4] },
    { name: 'input_1', dtype: 'float32', shape: [rows, 6] },
  ],
};
const joined = (first: unknown, second: unknown) =>
  joinSignatures(
    known,
    checkInputsOption([
      { name: 'a', dtype: 'float32', shape: [first, 4] },
      { name: 'b', dtype: 'float32', shape: [second, 6] },
    ]),
  ).inputs;

test('a size for one dimension of a name holds for the others of that name', () => {
  const inputs = joined(8, 'n');
  const check = (a: number, b: number) => () => {
    checkSizes(inputs, [
      [a, 4],
      [b, 6],
    ]);
  };
  expect(check(8, 8)).not.toThrow();
  expect(check(8, 1)).toThrow('dimension 0 of `b` to be 8');
  expect(check(4, 4)).toThrow('Expected shape (8, 4) for `a`');
  const symbols = new Symbols();
  expect(inputs.map((input) => encodeInput(input as ProgramInput, symbols).slice(3, 6))).toEqual([
    [1, 8, 8],
    [1, 1, 1024],
  ]);
});

test('a size outside the range of the package is refused', () => {
  for (const size of [0, 1025]) expect(() => joined(size, 'n')).toThrow('as the package says');
});

test('a size below the smallest: the message has the bound', () => {
  const check = (min: number, size: number) => () => {
    const shape = [{ name: 'batch', min }, 3];
    checkSizes([{ name: 'x', dtype: 'float32', shape }] as never, [[size, 3]]);
  };
  expect(check(2, 1)).toThrow('Expected shape (batch: at least 2, 3) for `x` but received (1, 3)');
  expect(check(1, 0)).toThrow('Expected shape (batch: at least 1, 3) for `x` but received (0, 3)');
  expect(() => {
    checkSizes([{ name: 'x', dtype: 'float32', shape: [{ name: 'batch', min: 1 }, 3] }] as never, [[5, 4]]);
  }).toThrow('Expected shape (batch, 3)');
});
