/**
 * `npm run test:packaging`: packs what would be published, and tests it as a user has it. Arguments are jest's.
 */
import { pack } from './pack.mjs';
import { main, root, run } from './tools.mjs';
import path from 'node:path';

await main(async () => {
  await pack();
  const args = process.argv.slice(2);
  run(process.execPath, [
    path.join(root, 'scripts', 'test.mjs'),
    ...(args.length > 0 ? args : ['test/packaging']),
  ]);
});
