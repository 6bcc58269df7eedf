/** Checks style: eslint, prettier, clang-format. `--fix` puts right what the tools can. */
import { clangFormat } from './clang-format.mjs';
import { ensureDependencies } from './dependencies.mjs';
import { main, runPackage, say, SetupError } from './tools.mjs';

await main(() => {
  ensureDependencies();
  const fix = process.argv.includes('--fix');
  const checks = {
    eslint: () => runPackage('eslint/bin/eslint.js', fix ? ['--fix', '.'] : ['.']),
    prettier: () =>
      runPackage('prettier/bin/prettier.cjs', [fix ? '--write' : '--check', '--log-level', 'warn', '.']),
    'clang-format': () => clangFormat(fix),
  };
  const failed = [];
  for (const [name, check] of Object.entries(checks)) {
    say(name);
    try {
      check();
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      say(error.message);
      failed.push(name);
    }
  }
  if (failed.length > 0)
    throw new SetupError(`Failed: ${failed.join(', ')}. \`npm run format\` mends layout.`);
});
