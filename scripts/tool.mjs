/**
 * Runs a program of an npm package, after making sure that the packages are installed:
 *
 *     node scripts/tool.mjs typescript/bin/tsc6 --noEmit
 */
import { ensureDependencies } from './dependencies.mjs';
import { main, runPackage } from './tools.mjs';

await main(() => {
  ensureDependencies();
  const [file, ...args] = process.argv.slice(2);
  runPackage(file, args);
});
