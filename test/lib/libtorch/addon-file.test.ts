import path from 'node:path';
import type { findAddon } from '../../../lib/libtorch/addon-file';
import { temporaryFolder, writeFiles } from './support';

const folder = temporaryFolder();
const here = `${process.platform}-${process.arch}`;

function packageWith(name: string, ...files: string[]): string {
  const root = path.join(folder, name);
  writeFiles(root, {
    'package.json': '{ "name": "tokenlearner" }',
    ...Object.fromEntries(files.map((file) => [file, ''])),
  });
  return root;
}

const BUILT = path.join('build', 'Release', 'tokenlearner.node');
const GLIBC = path.join('prebuilds', here, 'tokenlearner.glibc.node');
const MUSL = path.join('prebuilds', here, 'tokenlearner.musl.node');
const OTHER = path.join('prebuilds', 'sunos-mips', 'tokenlearner.node');

/** findAddon in an environment: node-gyp-build reads it when it is loaded. */
function find(root: string, variables: NodeJS.ProcessEnv = {}): ReturnType<typeof findAddon> {
  const before = { ...process.env };
  // A test run on the packed binary sets it.
  delete process.env.PREBUILDS_ONLY;
  Object.assign(process.env, variables);
  jest.resetModules();
  try {
    const module = jest.requireActual<{ findAddon: typeof findAddon }>('../../../lib/libtorch/addon-file');
    const found = module.findAddon(root);
    for (const [name, value] of Object.entries(variables)) expect(process.env[name]).toBe(value);
    return found;
  } finally {
    process.env = before;
  }
}

it('takes the build of a checkout by default', () => {
  const root = packageWith('checkout', BUILT, GLIBC);
  expect(find(root)).toBe(path.join(root, BUILT));
  expect(find(root, { PREBUILDS_ONLY: '1', LIBC: 'glibc' })).toBe(path.join(root, GLIBC));
});

it('takes the prebuilt one for the C library', () => {
  const root = packageWith('published', GLIBC, MUSL, OTHER);
  expect(find(root, { LIBC: 'glibc' })).toBe(path.join(root, GLIBC));
  expect(find(root, { LIBC: 'musl' })).toBe(path.join(root, MUSL));
  expect(find(packageWith('foreign platforms', OTHER))).toBeNull();
});

it('looks nowhere else, whatever the environment says', () => {
  const foreign = packageWith('foreign', BUILT, GLIBC);
  const variables = {
    TOKENLEARNER_PREBUILD: foreign,
    npm_config_platform: 'sunos',
    npm_config_arch: 'mips',
  };
  expect(find(packageWith('empty', OTHER), variables)).toBeNull();
  expect(find(packageWith('own', BUILT), variables)).toBe(path.join(folder, 'own', BUILT));
});
