/** `npm run prebuild`: prebuilds/<platform>-<arch>/ for node-gyp-build, through prebuildify. */
import path from 'node:path';
import { setup } from './setup.mjs';
import { main, root, runPackage } from './tools.mjs';

await main(async () => {
  await setup();
  const file = path.join(root, 'scripts', 'node-gyp-shim.mjs');
  // prebuildify starts it through a shell on Windows, and by its first line elsewhere.
  const shim = process.platform === 'win32' ? `node "${file}"` : file;
  runPackage('prebuildify/bin.js', ['--napi', '--strip', '--node-gyp', shim]);
});
