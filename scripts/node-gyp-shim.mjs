#!/usr/bin/env node
/**
 * Replaces node-gyp for prebuildify: `rebuild ...` builds the addon with CMake, for the platform in TOKENLEARNER_TARGET. prebuildify then
 * takes build/Release/*.node of its working directory.
 */
import { ensureCross } from './cross.mjs';
import { setup } from './setup.mjs';
import { here, main, SetupError } from './tools.mjs';

await main(async () => {
  const [command = 'none'] = process.argv.slice(2);
  if (command !== 'rebuild') throw new SetupError(`Expected the command rebuild but received ${command}`);
  const target = process.env.TOKENLEARNER_TARGET ?? here;
  await (target === here ? setup() : ensureCross(target));
});
