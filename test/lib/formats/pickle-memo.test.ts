import { formatErrors } from '../../../lib/formats/format-error';
import { PickleBudget } from '../../../lib/formats/pickle-budget';
import { PickleMemo } from '../../../lib/formats/pickle-memo';

const FREE_MEMORY = 2 ** 24;

test('values by any index', () => {
  const memo = new PickleMemo(new PickleBudget(0, formatErrors('x')));
  const indices = [0, 1, 4095, 4096, 2 ** 32 - 1];
  for (const index of indices) memo.set(index, `value ${index}`);
  memo.set(1, 'another');
  expect(memo.size).toBe(5);
  expect(indices.map((index) => memo.get(index))).toEqual([
    ...['value 0', 'another', 'value 4095', 'value 4096', 'value 4294967295'],
  ]);
  expect(memo.get(2)).toBeUndefined();
  expect(memo.get(2 ** 20)).toBeUndefined();
});

test('indices that lie apart cost more memory', () => {
  const fill = (step: number, count: number) => () => {
    const memo = new PickleMemo(new PickleBudget(0, formatErrors('x')));
    for (let i = 0; i < count; i += 1) memo.set(i * step, null);
  };
  expect(fill(1, 100_000)).not.toThrow();
  expect(fill(4096, 100_000)).toThrow(`over ${FREE_MEMORY} bytes of memory`);
});
