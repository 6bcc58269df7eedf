import { evaluateScript } from './support';

const manifest = {
  version: '1.2.3',
  repository: { type: 'git', url: 'git+https://example.com/owner/name.git' },
};

const publish = (text: string, from: object = manifest): unknown =>
  evaluateScript(
    'published-readme.mjs',
    `it.publishedReadme(${JSON.stringify(text)}, ${JSON.stringify(from)})`,
  );

test.each([
  ['[files](docs/files.md)', '[files](https://example.com/owner/name/blob/v1.2.3/docs/files.md)'],
  ['[platforms](docs/a.md#b)', '[platforms](https://example.com/owner/name/blob/v1.2.3/docs/a.md#b)'],
  ['![a chart](a/b.svg)', '![a chart](https://example.com/owner/name/raw/v1.2.3/a/b.svg)'],
  ['[elsewhere](https://example.org/x)', '[elsewhere](https://example.org/x)'],
  ['[below](#below)', '[below](#below)'],
  [
    '[![chart](a.svg)](b.md)',
    '[![chart](https://example.com/owner/name/raw/v1.2.3/a.svg)](https://example.com/owner/name/blob/v1.2.3/b.md)',
  ],
  ['```js\nx[0](y)\n```', '```js\nx[0](y)\n```'],
  ['a\n<!-- setup\nhidden\n-->\n\nb', 'a\nb'],
])('%j becomes %j', (text, expected) => {
  expect(publish(text)).toBe(expected);
});

test('a repository without an https address is refused', () => {
  expect(() => publish('', { ...manifest, repository: 'owner/name' })).toThrow('https address');
});
