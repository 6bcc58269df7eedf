/**
 * `npm run test:arm64`: cross-builds the addon and the C++ tests for linux-arm64, runs the tests of the CPU in the emulator, and runs a
 * smoke test of the packed files in an emulated Node.
 *
 *     node scripts/arm64.mjs [--smoke]
 *
 * --smoke leaves the C++ tests out. The tests of the CUDA kernels' logic are always left out: they take many minutes in the emulator
 * and compile to no arm64 code of ours. No time that is measured here says anything about arm64 hardware.
 */
import { checkCross, crossTarget } from './cross.mjs';
import { ensureNode, VERSIONS } from './nodes.mjs';
import { nativeTests, smokeTest } from './smoke.mjs';
import { commandLine, main, output } from './tools.mjs';

const PLATFORM = 'linux-arm64';
const [NODE] = VERSIONS;

await main(async () => {
  const { smoke } = commandLine({ smoke: { type: 'boolean', default: false } }).values;
  checkCross(PLATFORM, { emulator: true });
  if (!smoke) await nativeTests(PLATFORM);
  const [emulator, ...first] = crossTarget(PLATFORM).emulator;
  const program = output('sh', ['-c', 'command -v "$0"', emulator]);
  await smokeTest(PLATFORM, { host: [program, ...first, ensureNode(NODE, PLATFORM)], isa: 'neon' });
});
