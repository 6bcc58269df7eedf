import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseVersion } from '../../lib/libtorch/version';
import requirements from '../../lib/requirements.json';

const { node, glibc, libtorch, nvidiaDriver } = requirements;

function text(...parts: string[]): string {
  return readFileSync(path.join(__dirname, '..', '..', ...parts), 'utf8');
}

test('every requirement is a version', () => {
  for (const version of [node, glibc, libtorch]) expect(parseVersion(version)).not.toBeNull();
  for (const driver of Object.values(nvidiaDriver)) expect(driver).toMatch(/^\d{3}$/);
});

test('package.json requires the same version of Node', () => {
  const { engines } = JSON.parse(text('package.json')) as { engines: { node: string } };
  expect(engines.node).toBe(`>=${node}`);
});

test.each([
  ['README.md', [`${node} or later`, `glibc ${glibc} or later`, `any from ${libtorch} on`]],
  [
    path.join('docs', 'installation.md'),
    [
      `| Node.js | ${node} or later |`,
      `glibc ${glibc} or later`,
      `${nvidiaDriver.cuda13} or later for CUDA 13, ${nvidiaDriver.cuda12} or later for CUDA 12`,
      `libtorch ${libtorch} or later`,
    ],
  ],
  [path.join('docs', 'errors.md'), [`libtorch ${libtorch} or later`]],
])('%s names the same versions', (file, expected) => {
  const content = text(file);
  expect(expected.filter((part) => !content.includes(part))).toEqual([]);
});
