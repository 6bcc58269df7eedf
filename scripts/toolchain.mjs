/** Checks for the programs that the native build needs, before it fails in the middle. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { output, SetupError } from './tools.mjs';

/** Throws an error that names all missing programs and the packages that have them. */
export function checkToolchain() {
  if (process.platform === 'win32') return;
  const missing = [checkCMake(), checkCompiler(), checkMake()].filter((each) => each !== null);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.flatMap((each) => each.packages))].join(' ');
  throw new SetupError(
    ['The native addon cannot be built here:', ...missing.map(({ reason }) => `  - ${reason}`)].join('\n') +
      (process.platform === 'darwin'
        ? '\nInstall the command line tools with `xcode-select --install`, and CMake.'
        : `\nOn Debian and Ubuntu: apt-get install ${packages}`),
  );
}

function checkCMake() {
  const found = output('cmake', ['--version'])?.match(/(\d+)\.(\d+)/);
  if (!found) return { reason: 'cmake is missing', packages: ['cmake'] };
  const [, major, minor] = found.map(Number);
  if (major > 3 || (major === 3 && minor >= 22)) return null;
  return { reason: `cmake 3.22 or later is needed, this is ${found[0]}`, packages: ['cmake'] };
}

/** What a C++ compiler prints; null when it is missing or fails. CXX may hold arguments too, as in `ccache g++`. */
export function compilerOutput(args) {
  const compiler = compilerName();
  const [program, ...first] = existsSync(compiler) ? [compiler] : compiler.split(/\s+/);
  return output(program, [...first, ...args]);
}

function compilerName() {
  return process.env.CXX?.trim() || 'c++';
}

function checkCompiler() {
  const packages = ['build-essential'];
  const compiler = compilerName();
  if (compilerOutput(['--version']) === null) {
    return { reason: `the C++ compiler ${compiler} is missing`, packages };
  }
  if (['g++', 'clang++'].every((name) => output(name, ['--version']) === null)) {
    return {
      reason: 'neither g++ nor clang++ is in PATH; cmake-js needs one, also where CXX names another',
      packages,
    };
  }
  const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-'));
  try {
    const source = path.join(folder, 'probe.cpp');
    writeFileSync(source, '#include <concepts>\n#include <span>\nstatic_assert(std::integral<int>);\n');
    if (compilerOutput(['-std=c++20', '-fsyntax-only', source]) !== null) return null;
  } finally {
    rmSync(folder, { recursive: true });
  }
  return { reason: `${compiler} does not compile C++20 (g++ 11 or clang 14 and later do)`, packages };
}

function checkMake() {
  const found = output('ninja', ['--version']) ?? output('make', ['--version']);
  return found === null ? { reason: 'neither ninja nor make is installed', packages: ['ninja-build'] } : null;
}
