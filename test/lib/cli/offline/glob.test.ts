import { isPattern, parseGlob } from '../../../../lib/cli/offline/glob';
import { UsageError } from '../../../../lib/cli/usage-error';

it.each<[string, string, string[], string[]]>([
  ['features/*.npy', 'features', ['a.npy', '[1].npy'], ['a.npz', 'sub/a.npy', '.a.npy', 'a.npyx']],
  ['*.np[yz]', '.', ['a.npy', 'a.npz'], ['a.npx']],
  ['/data/**/*.npy', '/data', ['a.npy', 'x/y/a.npy'], ['.x/a.npy', 'x/.a.npy', 'anpy']],
  ['/**', '/', ['a.npy', 'x/a.npy'], ['.a']],
  ['d/part-?/{a,b*}.npy', 'd', ['part-1/a.npy', 'part-1/bcd.npy'], ['part-10/a.npy', 'part-1/c.npy']],
  ['d/[!a]*.npy', 'd', ['b.npy'], ['a.npy']],
  ['d/[!]a]*.npy', 'd', ['b.npy', '!.npy'], ['].npy', 'a.npy']],
  ['d/[]a]*.npy', 'd', ['].npy', 'a1.npy'], ['b.npy']],
  ['d/x[.-9]y.npy', 'd', ['x0y.npy', 'x.y.npy'], ['x/y.npy']],
  ['d/{a{b,c}/x,[d]}.npy', 'd', ['ab/x.npy', 'ac/x.npy', 'd.npy'], ['ab.npy', 'd/x.npy']],
  ['d/{a{b,c}?.npy', 'd', ['{ab1.npy', '{ac1.npy'], ['ab1.npy']],
  ['d/[a.npy', 'd', ['[a.npy'], ['a.npy']],
  ['d/x+(1)?.npy', 'd', ['x+(1)2.npy'], ['xx1.npy']],
])('%s', (pattern, folder, matching, others) => {
  const glob = parseGlob(pattern);
  expect(isPattern(pattern)).toBe(true);
  expect(glob.folder).toBe(folder);
  expect(matching.filter((name) => !glob.matches.test(name))).toEqual([]);
  expect(others.filter((name) => glob.matches.test(name))).toEqual([]);
});

it('a plain path is no pattern', () => {
  expect(isPattern('features/a (1).npy')).toBe(false);
});

it.each<[string, string[], string[]]>([
  ['d/*.npy', [], ['a', 'a/b']],
  ['d/*/x?/*.npy', ['a', 'a/x1'], ['.a', 'a/y1', 'a/x1/b']],
  ['d/*/**/*.npy', ['a', 'a/b', 'a/b/c'], ['.a']],
  ['**', ['a', 'a/b'], []],
  ['d/{a,b}/c/*.npy', ['a', 'b', 'a/c'], ['c', 'a/b', 'a/c/d']],
  ['d/{a/b,c}/*.npy', ['a', 'a/b', 'c'], []],
  ['d/x*/{a/b,c}/*.npy', ['x', 'x/a'], ['a', 'a/x']],
])('%s enters no folder in vain', (pattern, entered, others) => {
  const { enters } = parseGlob(pattern);
  expect(entered.filter((name) => !enters.test(name))).toEqual([]);
  expect(others.filter((name) => enters.test(name))).toEqual([]);
});

it('a range the wrong way round is wrong usage', () => {
  expect(() => parseGlob('d/[z-a]*.npy')).toThrow(UsageError);
  expect(() => parseGlob('d/[z-a]*.npy')).toThrow(/^d\/\[z-a\]\*\.npy is no pattern: a range in \[\]/);
});

it('separates parts as the system does', () => {
  const { folder, matches } = parseGlob(String.raw`C:\data\*\x*.npy`, '\\');
  expect(folder).toBe('C:/data');
  expect(['a/x1.npy', 'x1.npy'].map((name) => matches.test(name))).toEqual([true, false]);
});
