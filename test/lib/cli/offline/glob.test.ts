import { isPattern, parseGlob } from '../../../../lib/cli/offline/glob';

it.each<[string, string, string[], string[]]>([
  ['features/*.npy', 'features', ['a.npy', '[1].npy'], ['a.npz', 'sub/a.npy', '.a.npy', 'a.npyx']],
  ['*.np[yz]', '.', ['a.npy', 'a.npz'], ['a.npx']],
  ['/data/**/*.npy', '/data', ['a.npy', 'x/y/a.npy'], ['.x/a.npy', 'x/.a.npy', 'anpy']],
  ['/**', '/', ['a.npy', 'x/a.npy'], ['.a']],
  ['d/part-?/{a,b*}.npy', 'd', ['part-1/a.npy', 'part-1/bcd.npy'], ['part-10/a.npy', 'part-1/c.npy']],
  ['d/[!a]*.npy', 'd', ['b.npy'], ['a.npy']],
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
