/**
 * Checks style: eslint, prettier, clang-format. `--fix` repairs what the tools can repair. `--staged` checks only the layout of the files
 * that the next commit has, as they are in the working tree; .githooks/pre-commit calls it.
 */
import { ensureDependencies } from './dependencies.mjs';
import { ensurePython, pythonProgram } from './python-env.mjs';
import { commandLine, listFiles, main, output, run, runPackage, say, SetupError } from './tools.mjs';

const NATIVE = /^(?:native|test\/native)\/.*\.(?:cpp|hpp|cu|cuh)$/;

function eslint(fix) {
  runPackage('eslint/bin/eslint.js', fix ? ['--fix', '.'] : ['.']);
}

function prettier(fix, files) {
  if (files.length === 0) return;
  const mode = fix ? '--write' : '--check';
  runPackage('prettier/bin/prettier.cjs', [mode, '--log-level', 'warn', '--ignore-unknown', ...files]);
}

/** The clang-format that requirements-dev.txt pins. */
function clangFormat(fix, files) {
  const sources = files.filter((file) => NATIVE.test(file));
  if (sources.length === 0) return;
  ensurePython();
  run(pythonProgram('clang-format'), [...(fix ? ['-i'] : ['--dry-run', '-Werror']), ...sources]);
}

function stagedFiles() {
  const names = output('git', ['diff', '--cached', '--name-only', '--diff-filter=ACMR', '-z']);
  if (names === null) throw new SetupError('git cannot list the staged files');
  return names.split('\0').filter((name) => name !== '');
}

function chooseChecks({ fix, staged }) {
  if (staged) {
    const files = stagedFiles();
    return { prettier: () => prettier(fix, files), 'clang-format': () => clangFormat(fix, files) };
  }
  return {
    eslint: () => eslint(fix),
    prettier: () => prettier(fix, ['.']),
    'clang-format': () => clangFormat(fix, listFiles(['native', 'test/native'])),
  };
}

await main(() => {
  const { values } = commandLine({
    fix: { type: 'boolean', default: false },
    staged: { type: 'boolean', default: false },
  });
  ensureDependencies();
  const failed = [];
  for (const [name, check] of Object.entries(chooseChecks(values))) {
    say(name);
    try {
      check();
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      say(error.message);
      failed.push(name);
    }
  }
  if (failed.length > 0) {
    throw new SetupError(`Failed: ${failed.join(', ')}. \`npm run format\` repairs the layout.`);
  }
});
