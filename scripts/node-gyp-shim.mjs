#!/usr/bin/env node
/**
 * Stands in for node-gyp, for prebuildify: `rebuild --arch=ARCH ...` builds the addon with CMake instead. prebuildify then
 * takes build/Release/*.node.
 */
import { setup } from './setup.mjs';
import { argument, main, SetupError } from './tools.mjs';

await main(async () => {
  const [command] = process.argv.slice(2).filter((arg) => !arg.startsWith('-'));
  if (command !== 'rebuild')
    throw new SetupError(`Expected the command rebuild but received ${command ?? 'none'}`);
  const arch = argument('arch');
  if (arch !== undefined && arch !== process.arch) {
    throw new SetupError(`Expected --arch=${process.arch}, this machine's, but received ${arch}`);
  }
  await setup();
});
