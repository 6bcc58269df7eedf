import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const script = pathToFileURL(path.resolve(__dirname, '..', '..', 'scripts', 'toolchain.mjs')).href;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-toolchain-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** The error of checkToolchain on a machine whose only programs are these shell scripts; empty when there is none. */
function complaint(programs: Record<string, string>, CXX?: string): string {
  const bin = path.join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  for (const [name, text] of Object.entries(programs)) {
    writeFileSync(path.join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  }
  const text = `import { checkToolchain } from '${script}';
    try { checkToolchain(); } catch (error) { console.log(error.message); }`;
  const env = { PATH: bin, TMPDIR: folder, ...(CXX !== undefined && { CXX }) };
  const result = spawnSync(process.execPath, ['--input-type=module', '--eval', text], {
    encoding: 'utf8',
    env,
  });
  if (result.stderr !== '') throw new Error(result.stderr);
  return result.stdout;
}

const good = { cmake: 'echo cmake version 3.25.1', 'c++': 'exit 0', 'g++': 'exit 0', make: 'echo GNU Make' };
const onLinux = process.platform === 'linux' ? describe : describe.skip;

onLinux('checkToolchain', () => {
  it('is content with what the build needs', () => {
    expect(complaint(good)).toBe('');
  });

  it('takes a CXX with arguments, and none that is empty', () => {
    const programs = { ...good, 'c++': 'exit 1', ccache: '[ "$1" = g++ ] && [ "$2" = -m64 ]' };
    expect(complaint(programs, ' ccache g++ -m64')).toBe('');
    expect(complaint(good, '')).toBe('');
  });

  it('names a compiler with arguments that is missing', () => {
    expect(complaint(good, 'no-such-compiler -m64')).toContain(
      'the C++ compiler no-such-compiler -m64 is missing',
    );
  });

  it('says what cmake-js needs where CXX names another compiler', () => {
    const { cmake, make } = good;
    expect(complaint({ cmake, make, 'my-g++': 'exit 0' }, 'my-g++')).toContain(
      'neither g++ nor clang++ is in PATH',
    );
  });

  it('names everything that is missing and its Debian packages at once', () => {
    const text = complaint({});
    expect(text).toContain('cmake is missing');
    expect(text).toContain('the C++ compiler c++ is missing');
    expect(text).toContain('neither ninja nor make is installed');
    expect(text).toContain('apt-get install cmake build-essential ninja-build');
  });

  it('refuses an old CMake and an old compiler', () => {
    const old = 'case "$1" in --version) exit 0;; *) exit 1;; esac';
    const text = complaint({ ...good, cmake: 'echo cmake version 3.18.4', 'c++': old });
    expect(text).toContain('cmake 3.22 or later is needed, this is 3.18');
    expect(text).toContain('c++ does not compile C++20');
  });
});
