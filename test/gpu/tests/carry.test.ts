import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { evaluate } from './evaluate';

let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), 'gpu-carry-'))));
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('carry', () => {
  it('takes the packages that the package needs at run time, and no others', () => {
    const lock = JSON.stringify({
      packages: {
        '': { dependencies: { a: '1.0.0' }, devDependencies: { b: '1.0.0' } },
        'node_modules/a': { dependencies: { c: '1.0.0', d: '1.0.0' } },
        'node_modules/a/node_modules/c': { dependencies: { d: '1.0.0' } },
        'node_modules/b': { dev: true },
        'node_modules/c': {},
        'node_modules/d': {},
        'packages/server': { dependencies: { c: '2.0.0' } },
      },
    });
    expect(evaluate('../../scripts/tools', `it.runtimePackages(${lock})`)).toEqual([
      'node_modules/a',
      'node_modules/a/node_modules/c',
      'node_modules/d',
    ]);
    expect(evaluate('../../scripts/tools', `it.runtimePackages(${lock}, ['packages/server'])`)).toEqual([
      'node_modules/c',
    ]);
  });

  it.each([
    ['no CUDA kernels', { cuda: false, cudaArchitectures: '' }],
    ['lack the architecture 80: they are built for 90a', { cuda: true, cudaArchitectures: '90a-real' }],
    ['lack the architecture 80 and 90a', { cuda: true, cudaArchitectures: '75' }],
  ])('refuses an addon that has %s', (message, addon) => {
    expect(() => evaluate('carry', `it.demandKernels(${JSON.stringify(addon)})`)).toThrow(message);
  });

  it('accepts the default architectures', () => {
    const addon = { cuda: true, cudaArchitectures: '80,86-real,89-real,90a-real,100-real,120' };
    expect(evaluate('carry', `it.demandKernels(${JSON.stringify(addon)}) ?? null`)).toBe(null);
  });

  it('refuses a folder that is too large, and names its largest parts', () => {
    mkdirSync(path.join(folder, 'bin'));
    writeFileSync(path.join(folder, 'bin', 'program'), Buffer.alloc(700_000));
    writeFileSync(path.join(folder, 'small'), 'x');
    const size = (limit: number): unknown =>
      evaluate('carry', `it.demandSize(${JSON.stringify(folder)}, ${limit})`);
    expect(size(700_001)).toBe(700_001);
    expect(() => size(600_000)).toThrow('has 0.7 MB of 0.6 MB allowed (bin 0.7 MB, small 0.0 MB)');
  });
});

describe('run.sh', () => {
  const script = path.resolve(__dirname, '..', 'run.sh');

  /** A folder as carry makes it, whose programs print their arguments and end with these codes. */
  function run(
    letter: string,
    codes: { kernels?: number; node?: number; sanitizer?: number },
    ...options: string[]
  ): ReturnType<typeof spawnSync> {
    const program = (name: string, code = 0): void => {
      writeFileSync(path.join(folder, name), `#!/bin/sh\necho ${path.basename(name)} "$@"\nexit ${code}\n`, {
        mode: 0o755,
      });
    };
    mkdirSync(path.join(folder, 'bin'), { recursive: true });
    writeFileSync(path.join(folder, 'COMMIT'), 'abc\n');
    writeFileSync(path.join(folder, 'run.sh'), readFileSync(script));
    program('bin/cuda-gpu-kernels', codes.kernels);
    program('bin/bench-gpu-kernels');
    program('bin/compute-sanitizer', codes.sanitizer);
    program('node', codes.node);
    const env = {
      PATH: `${path.join(folder, 'bin')}:/usr/bin:/bin`,
      OUT: path.join(folder, 'out'),
      TOKENLEARNER_LIBTORCH: '/nowhere',
    };
    return spawnSync('bash', [path.join(folder, 'run.sh'), letter, ...options], { env, encoding: 'utf8' });
  }

  const steps = (): { step: string; exit: number }[] =>
    readFileSync(path.join(folder, 'out', 'steps.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { step: string; exit: number });

  const RIGHT = [
    'kernels',
    'memcheck',
    'racecheck',
    'synccheck',
    'initcheck',
    'parity',
    'faults',
    'server',
    'programs',
  ];
  const FULL = ['float32', 'tf32', 'bfloat16', 'float16'].flatMap((name) => [`full ${name}`, `full ${name}`]);

  it('a runs every tool on the kernels, all sizes, parity, faults, the server and programs, and fails when one fails', () => {
    const { status, stdout } = run('a', {});
    expect(status).toBe(0);
    const names = steps().map(({ step }) => step);
    expect(names.sort()).toEqual([...RIGHT, ...FULL].sort());
    expect(steps().every(({ exit }) => exit === 0)).toBe(true);
    for (const command of [
      `initcheck: compute-sanitizer --tool initcheck --error-exitcode 1 ${folder}/bin/cuda-gpu-kernels quick --no-poison`,
      'racecheck: compute-sanitizer --tool racecheck --racecheck-indirect-barrier-dependency --error-exitcode 1',
      'full tf32: cuda-gpu-kernels --test-suite=cuda/gpu-kernels/full --test-case=the official layers* --subcase=* tf32',
      `parity: node ${folder}/test/gpu/check.mjs --output ${folder}/out/parity.json --parity`,
      `faults: node ${folder}/test/gpu/check.mjs --output ${folder}/out/faults.json --faults`,
      `server: node ${folder}/test/gpu/check.mjs --output ${folder}/out/server.json --server`,
      `programs: node ${folder}/test/gpu/check.mjs --output ${folder}/out/programs.json --programs`,
    ])
      expect(stdout).toContain(command);
    expect(readFileSync(path.join(folder, 'out', 'run.log'), 'utf8')).toContain(
      'memcheck: compute-sanitizer',
    );
    expect(run('a', { sanitizer: 1 }).status).toBe(1);
  });

  it('ends at once without a GPU', () => {
    expect(run('a', { kernels: 77 }).status).toBe(77);
    expect(steps()).toMatchObject([{ step: 'kernels', exit: 77 }]);
    expect(run('c', { node: 77 }).status).toBe(77);
  });

  it('b times the kernels, the batcher, the server and the bench', () => {
    const { status, stdout } = run('b', {});
    expect(status).toBe(0);
    expect(steps().map(({ step }) => step)).toEqual(['bench-kernels', 'batcher', 'serve', 'bench']);
    expect(stdout).toContain('batcher.mjs --device cuda');
    expect(stdout).toContain('bench.mjs --device cuda --closed');
    expect(stdout).toContain(`check.mjs --output ${folder}/out/bench.json --bench --no-compile`);
  });

  it('unpacks what it is carried with', () => {
    mkdirSync(path.join(folder, 'packed'));
    writeFileSync(path.join(folder, 'packed', 'tool'), '', { mode: 0o755 });
    const archive = path.join(folder, 'files.tar.xz');
    spawnSync('tar', ['-cJf', archive, '-C', path.join(folder, 'packed'), 'tool']);
    expect(run('c', {}).status).toBe(0);
    expect(statSync(path.join(folder, 'tool')).mode & 0o777).toBe(0o755);
    writeFileSync(archive, 'no archive');
    expect(run('c', {}).status).toBe(0); // It was unpacked before.
    rmSync(`${archive}.unpacked`);
    const { status, stdout } = run('c', {});
    expect(status).toBe(1);
    expect(stdout).toContain('The archives cannot be unpacked');
  });

  it('c takes options', () => {
    const { stdout } = run('c', {}, '--modes', 'tf32');
    expect(stdout).toContain(`--output ${folder}/out/compile.json --bench --only doc-1,rt1-step,vit-b`);
    expect(stdout).toContain('--modes tf32');
  });

  it('refuses other commands', () => {
    expect(run('g', {}).status).toBe(2);
  });
});
