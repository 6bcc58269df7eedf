/**
 * `npm run test:sanitize -- address|thread [--quick] [--build]`: builds the native code with sanitizers and runs the tests under them.
 *
 * "address" (AddressSanitizer and UndefinedBehaviorSanitizer): CTest, then the suites of test/lifetime that do not measure
 * memory, on an addon built with it, with its runtime preloaded into Node. "thread" (ThreadSanitizer): CTest, without the tests of the
 * CUDA kernels on the host, which are fibers of one thread. The first finding of a sanitizer ends the program under test. --quick
 * leaves those tests out in both. --build builds, and runs nothing.
 */
import { cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { buildTargets, configure } from './build-native.mjs';
import { ensureTypeScript } from './build-ts.mjs';
import { ensureDependencies } from './dependencies.mjs';
import { ensureLibtorch } from './libtorch.mjs';
import { commandLine, main, output, root, run, runPackage, say, SetupError } from './tools.mjs';

// These measure resident memory, which a sanitizer's shadow and quarantine change. That of compiled programs needs files outside test/lifetime too.
const MEASURING = ['memory.test', 'sync-loop.test', 'event-loop.test', 'lifetime/aoti.test'];

const RESULTS = path.join(root, 'build', 'test-results');

const OPTIONS = {
  // For each test of test/lifetime.
  TOKENLEARNER_TEST_SECONDS: '1200',
  // V8 handles some segmentation faults itself, and never frees its heap at exit.
  ASAN_OPTIONS:
    'detect_leaks=0:handle_segv=0:abort_on_error=1:quarantine_size_mb=64:allocator_may_return_null=1',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1:allocator_may_return_null=1',
};

function build(kind, folder, includeDir, targets) {
  configure(folder, {
    TOKENLEARNER_TORCH_INCLUDE: includeDir,
    TOKENLEARNER_CUDA: 'OFF',
    TOKENLEARNER_SANITIZE: kind,
    BUILD_TESTING: 'ON',
  });
  buildTargets(folder, targets);
}

/** Makes a checkout with the sanitized addon in the place where the package always looks. */
function assemble(folder) {
  const checkout = path.join(folder, 'checkout');
  rmSync(checkout, { recursive: true, force: true });
  mkdirSync(path.join(checkout, 'build', 'Release'), { recursive: true });
  for (const name of ['dist', 'test/lifetime', 'test/jest', 'package.json', 'jest.config.cjs']) {
    cpSync(path.join(root, name), path.join(checkout, name), { recursive: true });
  }
  cpSync(
    path.join(folder, 'Release', 'tokenlearner.node'),
    path.join(checkout, 'build', 'Release', 'tokenlearner.node'),
  );
  symlinkSync(path.join(root, 'node_modules'), path.join(checkout, 'node_modules'), 'dir');
  return checkout;
}

/** The runtimes to preload: the sanitizer's, then the C++ library, which it looks for when it starts. */
function preloaded() {
  return ['libasan.so', 'libstdc++.so.6'].map((name) => {
    const file = output(process.env.CXX ?? 'c++', [`-print-file-name=${name}`]);
    if (file === null || !path.isAbsolute(file)) throw new SetupError(`The compiler has no ${name}`);
    return file;
  });
}

await main(async () => {
  const { values, positionals } = commandLine(
    { quick: { type: 'boolean' }, build: { type: 'boolean' } },
    { allowPositionals: true },
  );
  const [kind = 'nothing'] = positionals;
  if (kind !== 'address' && kind !== 'thread') {
    throw new SetupError(`Expected address or thread but received ${kind}`);
  }
  ensureDependencies();
  await ensureTypeScript();
  const { includeDir } = await ensureLibtorch();
  const folder = path.join(root, 'build', `sanitize-${kind}`);
  const portable = values.quick === true || kind === 'thread';
  say(
    `Building with ${kind === 'address' ? 'AddressSanitizer and UndefinedBehaviorSanitizer' : 'ThreadSanitizer'}`,
  );
  build(kind, folder, includeDir, portable ? ['tokenlearner', 'portable-tests'] : []);
  if (values.build === true) return;
  const env = { ...process.env, ...OPTIONS };
  const chosenTests = ['--parallel', '2', ...(portable ? ['--label-regex', 'portable'] : [])];
  mkdirSync(RESULTS, { recursive: true });
  const junit = ['--output-junit', path.join(RESULTS, 'ctest.xml')];
  const options = ['--test-dir', folder, '--output-on-failure', '--timeout', '1800'];
  run('ctest', [...options, ...junit, ...chosenTests], { env });
  if (kind === 'thread') return;
  const checkout = assemble(folder);
  const json = ['--json', `--outputFile=${path.join(RESULTS, 'jest.json')}`];
  const chosen = ['--rootDir', checkout, '--testPathIgnorePatterns', ...MEASURING];
  runPackage('jest/bin/jest.js', ['--ci', ...json, ...chosen], {
    cwd: checkout,
    env: { ...env, LD_PRELOAD: preloaded().join(':') },
  });
});
