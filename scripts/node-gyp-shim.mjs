#!/usr/bin/env node
/**
 * Replaces node-gyp for prebuildify: `rebuild --arch=ARCH ...` builds the addon with CMake. prebuildify then
 * takes build/Release/*.node.
 */
import { parseArgs } from 'node:util';
import { setup } from './setup.mjs';
import { main, SetupError } from './tools.mjs';

await main(async () => {
  // prebuildify passes more options, those of node-gyp, which do not matter here.
  const { values, positionals } = parseArgs({
    strict: false,
    allowPositionals: true,
    options: { arch: { type: 'string' } },
  });
  const [command = 'none'] = positionals;
  if (command !== 'rebuild') throw new SetupError(`Expected the command rebuild but received ${command}`);
  const { arch = process.arch } = values;
  if (arch !== process.arch) {
    throw new SetupError(`Expected --arch=${process.arch}, this machine's, but received ${arch}`);
  }
  await setup();
});
