import { checkChoice, EVERYTHING, passes } from '../../../lib/formats/filter';
import { expectThrow } from './support';

test('checkChoice takes the options of a loader', () => {
  const filter = () => true;
  expect(checkChoice(undefined, ['key', 'filter'])).toEqual(EVERYTHING);
  expect(checkChoice({ key: 'a.b', filter }, ['key', 'filter'])).toEqual({ key: 'a.b', filter });
});

test.each([
  [{ key: 1 }, 'ERR_INVALID_ARG_TYPE', /a string for `options\.key`/],
  [{ filter: /a/ }, 'ERR_INVALID_ARG_TYPE', /a function \(name\) => boolean for `options\.filter`/],
  [{ keys: 'a' }, 'ERR_INVALID_ARG_VALUE', /received 'keys'/],
  ['a', 'ERR_INVALID_ARG_TYPE', /a plain object for `options`/],
] as const)('checkChoice refuses %p', (options, code, message) => {
  expectThrow(() => checkChoice(options, ['key', 'filter']), code, message);
});

test('checkChoice refuses an option that the loader does not have', () => {
  expectThrow(
    () => checkChoice({ key: 'a' }, ['filter']),
    'ERR_INVALID_ARG_VALUE',
    /only the options filter/,
  );
});

test('passes asks the filter, which must return a boolean', () => {
  expect(
    [undefined, () => true, (name: string) => name === 'b'].map((filter) => passes(filter, 'a')),
  ).toEqual([true, true, false]);
  const wrong = (() => 1) as unknown as () => boolean;
  expectThrow(() => passes(wrong, 'a'), 'ERR_INVALID_ARG_TYPE', /returns a boolean/);
});
