import { compareVersions, isOlder, parseVersion } from '../../../lib/libtorch/version';

function order(a: string, b: string): number {
  const [first, second] = [parseVersion(a), parseVersion(b)];
  if (first === null || second === null) throw new Error('not a version');
  return Math.sign(compareVersions(first, second));
}

describe('parseVersion', () => {
  it.each([
    ['2.13.0+cpu', '2.13.0', 'cpu'],
    ['2.14.1+cu130\n', '2.14.1', 'cu130'],
    ['2.11', '2.11.0', null],
    ['2.15.0a0+git1234567', '2.15.0', 'git1234567'],
    ['2.12.0rc1', '2.12.0', null],
  ])('reads %j', (text, release, variant) => {
    expect(parseVersion(text)).toMatchObject({ release, variant });
  });

  it.each(['', 'main', '2', 'v2.13.0', '2.13.0 cpu'])('refuses %j', (text) => {
    expect(parseVersion(text)).toBeNull();
  });
});

describe('compareVersions', () => {
  it('orders by number, not by text', () => {
    expect(order('2.9.1', '2.11.0')).toBe(-1);
    expect(order('2.13.1', '2.13.0')).toBe(1);
    expect(order('3.0.0', '2.99.9')).toBe(1);
    expect(order('2.13.0+cpu', '2.13.0+cu130')).toBe(0);
  });
});

test.each([
  ['20.18.0', '20.18.1', true],
  ['20.18.1', '20.18.1', false],
  ['2.9', '2.28', true],
  ['2.36', '2.28', false],
  ['2.11.0+cu130', '2.11', false],
  ['musl', '2.28', false],
  ['2.11', 'none', false],
])('isOlder(%j, %j) is %p', (found, minimum, expected) => {
  expect(isOlder(found, minimum)).toBe(expected);
});
