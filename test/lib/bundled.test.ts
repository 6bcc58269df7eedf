import { readFileSync } from 'node:fs';
import path from 'node:path';
import { BUNDLED_MESSAGE } from '../../lib/bundled';

test('docs/deployment.md has the options that the message of ERR_BUNDLED names, for the same bundlers', () => {
  const page = readFileSync(path.join(__dirname, '..', '..', 'docs', 'deployment.md'), 'utf8');
  const table = /## Bundlers\n[\s\S]*?(\n\|---[\s\S]*?)\n\n/.exec(page)?.[1] ?? '';
  const rows = [...table.matchAll(/^\| ([^|`]+) \| `(.*)` \|$/gm)].map(([, name, option]) => [
    name?.toLowerCase(),
    option,
  ]);
  const named = [...BUNDLED_MESSAGE.matchAll(/^ {2}([^:]+): (.*)$/gm)].map(([, name, option]) => [
    name?.toLowerCase(),
    option,
  ]);
  expect(named.length).toBeGreaterThan(6);
  expect(rows).toEqual(named);
});
