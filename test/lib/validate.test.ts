import {
  checkBoolean,
  checkInteger,
  checkNumber,
  checkOneOf,
  checkOptions,
  checkString,
  describe as describeValue,
} from '../../lib/validate';
import { expectThrow } from './formats/support';

test.each([
  [undefined, 'undefined'],
  [null, 'null'],
  [-1, '-1 of type number'],
  [NaN, 'NaN of type number'],
  [-0, '-0 of type number'],
  [3n, '3n of type bigint'],
  [true, 'true of type boolean'],
  ['gpu', "'gpu' of type string"],
  [Symbol('s'), 'Symbol(s) of type symbol'],
  [[1, 2], '[ 1, 2 ] of type array'],
  [new Float32Array(2), 'an instance of Float32Array'],
  [new Map(), 'an instance of Map'],
  [{}, 'an object'],
  [Object.create(null), 'an object'],
  [() => 0, 'a function'],
  [Math.max, 'function max'],
])('%p is described as %s', (value, text) => {
  expect(describeValue(value)).toBe(text);
});

test('long values are shortened', () => {
  expect(describeValue('x'.repeat(10_000)).length).toBeLessThan(200);
  expect(describeValue(new Array(10_000).fill(7)).length).toBeLessThan(200);
});

test('describes values whose own code throws', () => {
  const hostile = new Proxy(
    {},
    {
      get() {
        throw new Error('no');
      },
    },
  );
  expect(describeValue(hostile)).toBe('an object');
});

describe('checkInteger', () => {
  test('returns the integer', () => {
    expect(checkInteger('n', 3, { min: 1 })).toBe(3);
    expect(checkInteger('n', -3)).toBe(-3);
  });

  test.each([0, -1, 1.5, NaN, Infinity, 2 ** 53])('refuses %p if the integer must be positive', (value) => {
    expectThrow(
      () => checkInteger('n', value, { min: 1 }),
      'ERR_OUT_OF_RANGE',
      /^Expected a positive integer for `n` but/,
    );
  });

  test.each([undefined, null, '3', 3n, [3], {}])('refuses %p', (value) => {
    expectThrow(
      () => checkInteger('n', value),
      'ERR_INVALID_ARG_TYPE',
      /^Expected an integer for `n` but received/,
    );
  });

  test('both ends belong to a range, and the message names them', () => {
    expect([0, 5].map((n) => checkInteger('n', n, { min: 0, max: 5 }))).toEqual([0, 5]);
    expectThrow(() => checkInteger('n', 6, { min: 0, max: 5 }), 'ERR_OUT_OF_RANGE', 'an integer from 0 to 5');
    expectThrow(() => checkInteger('n', -1, { min: 0 }), 'ERR_OUT_OF_RANGE', 'an integer of at least 0');
  });
});

test('checkNumber takes finite numbers of at least its minimum', () => {
  expect(checkNumber('eps', 1e-5, 0)).toBe(1e-5);
  expectThrow(() => checkNumber('eps', -1, 0), 'ERR_OUT_OF_RANGE', 'a finite number of at least 0 for `eps`');
  expectThrow(() => checkNumber('eps', NaN), 'ERR_OUT_OF_RANGE', 'a finite number for `eps`');
  expectThrow(() => checkNumber('eps', '1'), 'ERR_INVALID_ARG_TYPE', 'a finite number for `eps`');
});

test('checkBoolean and checkString refuse other types', () => {
  expect(checkBoolean('b', false)).toBe(false);
  expect(checkString('s', '')).toBe('');
  expectThrow(
    () => checkBoolean('b', 1),
    'ERR_INVALID_ARG_TYPE',
    'Expected a boolean for `b` but received 1 of type number',
  );
  expectThrow(
    () => checkString('s', 1),
    'ERR_INVALID_ARG_TYPE',
    'Expected a string for `s` but received 1 of type number',
  );
});

test('checkOneOf names the choices', () => {
  expect(checkOneOf('c', 'b', ['a', 'b'])).toBe('b');
  expectThrow(
    () => checkOneOf('c', 'd', ['a', 'b']),
    'ERR_INVALID_ARG_VALUE',
    "one of 'a', 'b' for `c` but received 'd'",
  );
  expectThrow(() => checkOneOf('c', 1, ['a', 'b']), 'ERR_INVALID_ARG_TYPE', "one of 'a', 'b' for `c`");
});

describe('checkOptions', () => {
  test('undefined means no options', () => {
    expect(checkOptions('options', undefined, ['a'])).toEqual({});
  });

  test('an option that is undefined is not there', () => {
    expect({ a: 1, ...checkOptions('options', { a: undefined, b: 2 }, ['a', 'b']) }).toEqual({ a: 1, b: 2 });
    expect(Object.keys(checkOptions('options', { a: undefined }, ['a']))).toEqual([]);
  });

  test('refuses a misspelt option', () => {
    expectThrow(
      () => checkOptions('options', { dimm: 3 }, ['dim', 'ffMult']),
      'ERR_INVALID_ARG_VALUE',
      "Expected only the options dim, ffMult for `options` but received 'dimm'",
    );
  });

  test.each([null, 3, 'a', [1], () => 0])('refuses %p', (value) => {
    expectThrow(
      () => checkOptions('options', value, ['a']),
      'ERR_INVALID_ARG_TYPE',
      'Expected a plain object for `options`',
    );
  });
});
