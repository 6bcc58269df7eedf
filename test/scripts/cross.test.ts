import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const script = pathToFileURL(path.resolve(__dirname, '..', '..', 'scripts', 'cross.mjs')).href;
const onX64 = process.platform === 'linux' && process.arch === 'x64' ? describe : describe.skip;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-cross-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** The error of an expression on a machine whose only programs are these; empty when there is none. */
function complaint(expression: string, programs: string[]): string {
  for (const name of programs) writeFileSync(path.join(folder, name), '#!/bin/sh\n', { mode: 0o755 });
  const text = `import * as it from '${script}';
    try { ${expression} } catch (error) { console.log(error.message); }`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', text], {
    encoding: 'utf8',
    env: { PATH: folder },
  });
  expect(stderr).toBe('');
  return stdout;
}

onX64('checkCross', () => {
  const demand = `it.checkCross('linux-arm64', { emulator: true })`;

  it('names what is missing and the Debian packages', () => {
    const text = complaint(demand, []);
    expect(text).toContain('aarch64-linux-gnu-g++ and qemu-aarch64-static missing');
    expect(text).toContain('apt-get install g++-aarch64-linux-gnu qemu-user-static');
  });

  it('asks for the emulator only where it is needed', () => {
    expect(complaint(`it.checkCross('linux-arm64')`, ['aarch64-linux-gnu-g++'])).toBe('');
    expect(complaint(demand, [])).toContain('qemu-aarch64-static missing');
    expect(complaint(demand, ['qemu-aarch64-static'])).toBe('');
  });

  it('needs nothing for musl, whose compiler is fetched', () => {
    expect(complaint(`it.checkCross('linux-x64-musl')`, [])).toBe('');
  });

  it('refuses a platform that cannot be built here', () => {
    expect(complaint(`it.crossTarget('darwin-arm64')`, [])).toContain(
      'Expected linux-x64 or linux-arm64 or linux-x64-musl or linux-arm64-musl for the platform but received darwin-arm64',
    );
  });
});
