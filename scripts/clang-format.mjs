/** Formats the C++ and CUDA sources with the clang-format that requirements-dev.txt pins; `--check` only looks. */
import { ensurePython, pythonProgram } from './python-env.mjs';
import { isMain, listFiles, main, run } from './tools.mjs';

export function clangFormat(fix) {
  ensurePython();
  const sources = listFiles(['native', 'test/native']).filter((file) => /\.(?:cpp|hpp|cu|cuh)$/.test(file));
  run(pythonProgram('clang-format'), [...(fix ? ['-i'] : ['--dry-run', '-Werror']), ...sources]);
}

if (isMain(import.meta.url)) await main(() => clangFormat(!process.argv.includes('--check')));
