import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { libtorchPackage, mainPackage } from './support';

const tar = (...args: string[]): string =>
  execFileSync('tar', args, { encoding: 'utf8', maxBuffer: 1 << 26 });
const list = (file: string): string[] =>
  tar('-tzf', file)
    .split('\n')
    .filter((name) => name !== '')
    .map((name) => name.replace(/^package\//, ''));
const read = (file: string, name: string): string => tar('-xzOf', file, `package/${name}`);

interface Manifest {
  version: string;
  scripts?: unknown;
  devDependencies?: unknown;
  gypfile?: boolean;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  os?: string[];
  cpu?: string[];
  libc?: string[];
}

describe('the main package', () => {
  const names = list(mainPackage());
  const manifest = JSON.parse(read(mainPackage(), 'package.json')) as Manifest;

  it('has nothing that an install would run', () => {
    expect(manifest.scripts).toBeUndefined();
    expect(manifest.gypfile).toBe(false);
    expect(names).not.toContain('binding.gyp');
  });

  it('has what is used at run time and nothing of the build', () => {
    const top = [...new Set(names.map((name) => name.split('/')[0]))].sort();
    expect(top).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'THIRD-PARTY.md',
      'dist',
      'package.json',
      'prebuilds',
      'python',
    ]);
    expect(names.filter((name) => name.startsWith('python/'))).toEqual(['python/export.py']);
    expect(names.filter((name) => /\.(?:cpp|hpp|cu|map|tsbuildinfo)$/.test(name))).toEqual([]);
    expect(names.filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))).toEqual([]);
    expect(manifest.devDependencies).toBeUndefined();
  });

  it('has binaries whose names say the C library that they are for', () => {
    const hasCrossCompiler = spawnSync('aarch64-linux-gnu-g++', ['--version']).status === 0;
    const root = path.resolve(__dirname, '..', '..');
    const wasBuilt = (name: string): boolean => existsSync(path.join(root, 'build', name, 'build'));
    const crossBuilt = [
      ...(hasCrossCompiler ? ['linux-arm64/tokenlearner.glibc.node'] : []),
      ...(wasBuilt('linux-arm64-musl') ? ['linux-arm64/tokenlearner.musl.node'] : []),
      ...(wasBuilt('linux-x64-musl') ? ['linux-x64/tokenlearner.musl.node'] : []),
    ];
    const own = `${process.platform}-${process.arch}/tokenlearner.glibc.node`;
    const expected = process.arch === 'x64' ? [own, ...crossBuilt] : [own];
    expect(names.filter((name) => name.endsWith('.node')).sort()).toEqual(
      expected.map((name) => `prebuilds/${name}`).sort(),
    );
  });

  it('pins its dependencies, and names libtorch as an option', () => {
    for (const version of Object.values(manifest.dependencies ?? {}))
      expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    const libtorch = JSON.parse(read(libtorchPackage(), 'package.json')) as Manifest;
    expect(manifest.optionalDependencies).toEqual({
      '@tokenlearner/libtorch-cpu-linux-x64': libtorch.version,
    });
  });

  it('has a README whose links lead into the repository, and no code for the tests', () => {
    const readme = read(mainPackage(), 'README.md');
    const links = [...readme.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
    expect(links.length).toBeGreaterThan(20);
    expect(links.filter((target) => !target.startsWith('https://'))).toEqual([]);
    expect(readme).toContain(`/raw/v${manifest.version}/test/bench/results/cpu.svg)`);
    expect(readme).toContain(`/blob/v${manifest.version}/docs/installation.md#platforms)`);
    expect(readme).not.toContain('<!--');
  });

  it('lists the licences of what it holds', () => {
    const notice = read(mainPackage(), 'THIRD-PARTY.md');
    for (const name of ['node-addon-api', 'libstdc++', 'Pillow', 'undici', 'yauzl', 'commander']) {
      expect(notice).toContain(name);
    }
  });
});

describe('the package with libtorch', () => {
  const names = list(libtorchPackage());
  const manifest = JSON.parse(read(libtorchPackage(), 'package.json')) as Manifest;

  it('is for one platform and runs nothing', () => {
    expect(manifest).toMatchObject({ os: ['linux'], cpu: ['x64'], libc: ['glibc'] });
    expect(manifest.scripts).toBeUndefined();
  });

  it('has the libraries, their record and their licences, and nothing else', () => {
    const libraries = names.filter((name) => name.startsWith('lib/')).sort();
    expect(libraries).toEqual([
      'lib/libc10.so',
      'lib/libgomp.so.1',
      'lib/libtorch.so',
      'lib/libtorch_cpu.so',
      'lib/libtorch_global_deps.so',
    ]);
    expect(names).toContain('licenses/LICENSE');
    const rest = names.filter((name) => !/^(?:lib|licenses)\//.test(name)).sort();
    expect(rest).toEqual(['NOTICE.md', 'README.md', 'index.js', 'package.json', 'runtime.json']);
    const record = JSON.parse(read(libtorchPackage(), 'runtime.json')) as { files: Record<string, number> };
    expect(Object.keys(record.files)).toEqual(expect.arrayContaining(libraries));
  });
});
