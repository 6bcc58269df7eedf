import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.resolve(__dirname, '..', '..');
const onLinux = process.platform === 'linux' ? describe : describe.skip;

/** A checkout with the real scripts and a CMake project of two empty programs. */
function makeCheckout(): string {
  const checkout = realpathSync(mkdtempSync(path.join(tmpdir(), 'tokenlearner-native-')));
  for (const name of ['scripts', 'package.json', 'package-lock.json']) {
    cpSync(path.join(root, name), path.join(checkout, name), { recursive: true });
  }
  symlinkSync(path.join(root, 'node_modules'), path.join(checkout, 'node_modules'), 'dir');
  writeFileSync(path.join(checkout, 'main.cpp'), 'int main() {}\n');
  const lines = [
    'cmake_minimum_required(VERSION 3.22)',
    'project(probe LANGUAGES CXX)',
    'if(TOKENLEARNER_CUDA STREQUAL "ON")',
    '  message(FATAL_ERROR "there is no CUDA compiler")',
    'endif()',
    'set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_SOURCE_DIR}/build/Release)',
    'add_executable(tokenlearner main.cpp)',
    'add_executable(native-test main.cpp)',
  ];
  writeFileSync(path.join(checkout, 'CMakeLists.txt'), lines.join('\n'));
  return checkout;
}

onLinux('ensureNative', () => {
  const checkout = makeCheckout();
  const marker = path.join(checkout, 'build', 'cmake', 'marker');
  const program = (name: string): string => path.join(checkout, 'build', 'Release', name);
  afterAll(() => {
    rmSync(checkout, { recursive: true });
  });

  /** Builds once; true when the build was configured anew. */
  function build(options: object, environment: NodeJS.ProcessEnv = {}): boolean {
    const text = `import { ensureNative } from './scripts/build-native.mjs'; ensureNative(${JSON.stringify(options)});`;
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', text], {
      cwd: checkout,
      encoding: 'utf8',
      env: { ...process.env, TOKENLEARNER_CUDA: 'OFF', ...environment },
    });
    if (status !== 0) throw new Error(stderr);
    return stderr.includes('Configuring the native build');
  }

  const options = { includeDir: checkout, version: '2.13.0' };

  it('configures and builds once, the tests only where they are asked for', () => {
    expect(build(options)).toBe(true);
    expect(existsSync(program('tokenlearner'))).toBe(true);
    expect(existsSync(program('native-test'))).toBe(false);
    expect(build({ ...options, tests: true })).toBe(false);
    expect(existsSync(program('native-test'))).toBe(true);
  });

  it('builds the addon again when it is gone', () => {
    rmSync(program('tokenlearner'));
    expect(build(options)).toBe(false);
    expect(existsSync(program('tokenlearner'))).toBe(true);
  });

  it('configures the same folder for another option, and a new one for other flags', () => {
    mkdirSync(path.dirname(marker), { recursive: true });
    writeFileSync(marker, '');
    expect(build({ ...options, version: '2.14.0' })).toBe(true);
    expect(existsSync(marker)).toBe(true);
    expect(build({ ...options, version: '2.14.0' }, { CXXFLAGS: '-O1' })).toBe(true);
    expect(existsSync(marker)).toBe(false);
  });

  it('builds again after a configuration that failed', () => {
    const plain = { CXXFLAGS: '-O1' };
    build(options, plain);
    expect(() => build(options, { ...plain, TOKENLEARNER_CUDA: 'ON' })).toThrow('cmake-js');
    expect(build(options, plain)).toBe(true);
    expect(() => build(options, { LDFLAGS: '-lno-such-library' })).toThrow('cmake-js');
    expect(build(options, plain)).toBe(true);
    expect(build(options, plain)).toBe(false);
  });

  it('configures anew where the files of the build tool are missing', () => {
    build(options);
    for (const name of ['build.ninja', 'Makefile'])
      rmSync(path.join(path.dirname(marker), name), { force: true });
    expect(build(options)).toBe(true);
  });

  it('refuses an unknown choice about CUDA', () => {
    expect(() => build(options, { TOKENLEARNER_CUDA: 'MAYBE' })).toThrow('Expected ON, OFF or AUTO');
  });
});
