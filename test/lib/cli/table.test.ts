import { table } from '../../../lib/cli/table';

test('pads columns to their widest cell and leaves no space at the end', () => {
  expect(table([['a', 'bbb', ''], ['aaaa', 'b', 'c'], ['x']])).toBe('a     bbb\naaaa  b    c\nx');
});
