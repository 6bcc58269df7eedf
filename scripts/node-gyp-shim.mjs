#!/usr/bin/env node
/**
 * Replaces node-gyp for prebuildify: `rebuild --arch=ARCH ...` builds the addon with CMake. prebuildify then
 * takes build/Release/*.node of its working directory.
 */
import { parseArgs } from 'node:util';
import { ensureCross } from './cross.mjs';
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
  await (arch === process.arch ? setup() : ensureCross(`${process.platform}-${arch}`));
});
