import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.resolve(__dirname, '..', '..');
const onLinux = process.platform === 'linux' ? describe : describe.skip;

interface Entry {
  version: string;
  dev?: true;
  optional?: true;
  os?: string[];
  cpu?: string[];
  libc?: string[];
}

onLinux('ensureDependencies', () => {
  const checkout = realpathSync(mkdtempSync(path.join(tmpdir(), 'tokenlearner-dependencies-')));
  const bin = path.join(checkout, 'bin');
  const asked = path.join(checkout, 'asked');
  cpSync(path.join(root, 'scripts'), path.join(checkout, 'scripts'), { recursive: true });
  mkdirSync(path.join(checkout, 'lib'));
  cpSync(path.join(root, 'lib', 'requirements.json'), path.join(checkout, 'lib', 'requirements.json'));
  mkdirSync(path.join(checkout, 'node_modules'));
  mkdirSync(bin);
  writeFileSync(path.join(bin, 'npm'), `#!/bin/sh\necho "$@" > '${asked}'\n`, { mode: 0o755 });
  afterAll(() => {
    rmSync(checkout, { recursive: true });
  });

  /** The arguments that npm gets where the lock file wants some packages and others are installed; null where it is not asked. */
  function install(wanted: Record<string, Entry>, installed: Record<string, Entry>): string | null {
    writeFileSync(path.join(checkout, 'package-lock.json'), JSON.stringify({ packages: wanted }));
    const hidden = path.join(checkout, 'node_modules', '.package-lock.json');
    writeFileSync(hidden, JSON.stringify({ packages: installed }));
    rmSync(asked, { force: true });
    const script = path.join(checkout, 'scripts', 'dependencies.mjs');
    const env = { PATH: bin };
    const { status, stderr } = spawnSync(process.execPath, [script], { env, encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    return stderr === '' ? null : readFileSync(asked, 'utf8');
  }

  const tool: Entry = { version: '1.0.0', dev: true };
  const own: Entry = { version: '1.0.0', optional: true, os: [process.platform], cpu: [process.arch] };

  it('asks npm for everything that the build needs, whatever its settings leave out', () => {
    expect(install({ tool }, {})).toMatch(/^install .*--include=dev --include=optional/);
    expect(install({ tool }, { tool })).toBeNull();
  });

  it('counts the binaries of this platform alone', () => {
    const others: Record<string, Entry> = {
      other: { ...own, os: ['aix'] },
      arch: { ...own, cpu: ['s390'] },
      library: { ...own, libc: ['none'] },
      wasm: { version: '1.0.0', optional: true },
    };
    expect(install({ tool, own, ...others }, { tool, own })).toBeNull();
    expect(install({ tool, own, ...others }, { tool, ...others })).not.toBeNull();
  });
});
