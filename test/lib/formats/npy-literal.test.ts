import { formatErrors } from '../../../lib/formats/format-error';
import { LiteralParser, type Literal } from '../../../lib/formats/npy-literal';
import { expectThrow } from './support';

function parse(text: string, encoding: 'latin1' | 'utf-8' = 'utf-8'): Map<string, Literal> {
  return new LiteralParser(Buffer.from(text, encoding), encoding, formatErrors('x')).parseDict();
}

test.each<[string, Literal]>([
  ["'a'", 'a'],
  ['-12L', -12],
  ['True', true],
  ['None', null],
  ['(3)', 3],
  ['(3,)', { kind: 'tuple', items: [3] }],
  ['()', { kind: 'tuple', items: [] }],
  [
    "[('a', (1, 2)), ]",
    { kind: 'list', items: [{ kind: 'tuple', items: ['a', { kind: 'tuple', items: [1, 2] }] }] },
  ],
])('reads %s', (text, value) => {
  expect([...parse(`{ "k" : ${text} , }\n`)]).toEqual([['k', value]]);
});

test.each(['latin1', 'utf-8'] as const)('decodes strings as %s', (encoding) => {
  expect(parse("{'\u00e9': 1}", encoding).get('\u00e9')).toBe(1);
});

test('limits the depth', () => {
  const nested = (depth: number) => `{'k': ${'['.repeat(depth)}${']'.repeat(depth)}}`;
  expect(parse(nested(33)).size).toBe(1);
  expectThrow(
    () => parse(nested(34)),
    'ERR_FILE_FORMAT',
    /^x: the header is malformed: nested too deeply at byte/,
  );
});
