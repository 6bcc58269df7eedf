import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import type * as Binding from '../../lib/binding';

// The build of the checkout, or the packed binary where the test run is on that.
const addon = jest.requireActual<typeof Binding>('../../lib/binding').addonPath();

const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-binding-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** A fresh import of lib/binding.ts that finds this file as the addon, or none. */
function fresh(file: string | null): typeof Binding {
  jest.resetModules();
  jest.doMock('../../lib/libtorch/addon-file', () => ({ findAddon: () => file }));
  return jest.requireActual('../../lib/binding');
}

/** The error that `run` throws. Its class is that of the fresh modules. */
function thrown(run: () => unknown): { code: string; message: string } {
  try {
    run();
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('Nothing was thrown');
}

afterEach(() => {
  jest.dontMock('../../lib/libtorch/addon-file');
  jest.dontMock('../../lib/libtorch/locate');
});

test('info reports any other error too', () => {
  jest.doMock('../../lib/libtorch/locate', () => ({
    locateLibtorch: () => {
      throw new Error('uv_os_homedir returned ENOENT');
    },
  }));
  const { binding } = fresh(addon);
  const { runtime } = jest.requireActual<typeof import('../../lib')>('../../lib');
  // Another test file may have loaded it into this process. Then nobody looks for it.
  const isLoaded = binding().libtorch() !== null;
  expect(runtime.info()).toMatchObject({
    libtorch: isLoaded ? { state: 'loaded' } : { state: 'missing', path: null },
    devices: [{ device: 'cpu' }],
    problem: isLoaded ? null : { code: 'ERR_LIBTORCH_LOAD', message: 'uv_os_homedir returned ENOENT' },
  });
});

test('no binary for this platform: an error with the platform and the remedy', () => {
  const { binding } = fresh(null);
  const { code, message } = thrown(binding);
  expect(code).toBe('ERR_ADDON_NOT_FOUND');
  expect(message).toContain(`${process.platform}-${process.arch}`);
  expect(message).toContain('npm run setup');
});

test('a binary that cannot be loaded: an error with its path and the reason', () => {
  const file = path.join(folder, 'broken.node');
  writeFileSync(file, 'no library');
  const { binding } = fresh(file);
  const { code, message } = thrown(binding);
  expect(code).toBe('ERR_ADDON_LOAD');
  expect(message).toContain(file);
});

test('info reports a missing binary instead of throwing', () => {
  fresh(null);
  const { runtime } = jest.requireActual<typeof import('../../lib')>('../../lib');
  expect(runtime.info()).toMatchObject({
    addon: null,
    libtorch: { state: 'missing', path: null },
    devices: [],
    cuda: { available: false },
    problem: { code: 'ERR_ADDON_NOT_FOUND' },
  });
});

describe('in its own process', () => {
  const root = path.join(__dirname, '..', '..');

  /** Runs code on the compiled package. Returns the JSON that it prints. */
  function run(code: string, env: NodeJS.ProcessEnv = {}): unknown {
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', code], {
      cwd: root,
      env: { ...process.env, ...env },
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    return JSON.parse(stdout);
  }

  const libraries = `require('fs').readFileSync('/proc/self/maps', 'utf8')`;
  const onLinux = process.platform === 'linux' ? test : test.skip;

  onLinux(
    'importing the package loads nothing; a tensor loads the addon; a layer that needs libtorch loads that',
    () => {
      const loaded = run(`
      const { Tensor, Linear } = require('./dist');
      // The addon's file name, in a build and in prebuilds.
      const loaded = () => [/tokenlearner(?:\\.glibc)?\\.node/, /libtorch_cpu/].map((name) => name.test(${libraries}));
      const all = [loaded()];
      Tensor.zeros([2]); all.push(loaded());
      new Linear(1, 1); all.push(loaded());
      console.log(JSON.stringify(all));
    `);
      expect(loaded).toEqual([
        [false, false],
        [true, false],
        [true, true],
      ]);
    },
  );

  test('a missing libtorch is a typed error, and info reports it', () => {
    const result = run(
      `
      const { runtime, Linear } = require('./dist');
      const { libtorch, problem } = runtime.info();
      let code; try { new Linear(1, 1) } catch (error) { code = error.code }
      console.log(JSON.stringify({ state: libtorch.state, problem: problem.code, code }));
    `,
      { TOKENLEARNER_LIBTORCH: path.join(folder, 'none') },
    );
    expect(result).toEqual({
      state: 'missing',
      problem: 'ERR_LIBTORCH_NOT_FOUND',
      code: 'ERR_LIBTORCH_NOT_FOUND',
    });
  });

  test('no environment variable selects another addon', () => {
    const file = path.join(folder, 'elsewhere', 'build', 'Release', 'foreign.node');
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, 'foreign');
    const found = run(`console.log(JSON.stringify(require('./dist').runtime.info().addon.path))`, {
      TOKENLEARNER_PREBUILD: path.join(folder, 'elsewhere'),
    });
    expect(path.relative(root, found as string)).toMatch(/^(?:build|prebuilds)\b/);
  });

  test.each([{ HOME: '' }, { HOME: '.' }, { HOME: 'folder' }])(
    'with %j everything works without a cache',
    (env) => {
      const code = `
      const { runtime } = require('./dist');
      const { addon, libtorch, problem } = runtime.info();
      console.log(JSON.stringify([addon !== null, libtorch.source ?? problem.code]));`;
      const [addon, source] = run(code, { ...env, XDG_CACHE_HOME: '', TOKENLEARNER_LIBTORCH: '' }) as [
        boolean,
        string,
      ];
      expect(addon).toBe(true);
      expect(['python', 'package', 'ERR_LIBTORCH_NOT_FOUND', 'ERR_LIBTORCH_INCOMPATIBLE']).toContain(source);
    },
  );

  // Containers run as users that the system does not know. Only root can become such a user.
  const asRoot = process.getuid?.() === 0 ? test : test.skip;

  asRoot(
    'for a user without a home and without an entry in the system, info works and modules say what is missing',
    () => {
      const result = run(
        `
      const { runtime, Linear, Tensor } = require('./dist');
      // Load the addon first, since only root may be able to read the checkout.
      Tensor.zeros([1]);
      process.setgroups([]); process.setgid(54321); process.setuid(54321);
      const { addon, problem } = runtime.info();
      let code; try { new Linear(1, 1) } catch (error) { code = error.code }
      console.log(JSON.stringify({ addon: addon !== null, problem: problem?.code ?? code, code }));
    `,
        { HOME: undefined, TOKENLEARNER_LIBTORCH: path.join(folder, 'none'), TOKENLEARNER_CACHE: folder },
      );
      expect(result).toEqual({
        addon: true,
        problem: 'ERR_LIBTORCH_NOT_FOUND',
        code: 'ERR_LIBTORCH_NOT_FOUND',
      });
    },
  );

  describe('threads', () => {
    const THREADS = `const { Linear, runtime } = require('./dist');
      new Linear(1, 1);
      const { threads, threadsReason, libtorch } = runtime.info();
      console.log(JSON.stringify([threads, threadsReason, libtorch.threads]));`;

    test('OMP_NUM_THREADS limits them, and those of libtorch too', () => {
      expect(run(THREADS, { OMP_NUM_THREADS: '1' })).toEqual([1, 'OMP_NUM_THREADS', 1]);
      const [threads, , torch] = run(THREADS, { OMP_NUM_THREADS: '100000,2' }) as [number, string, number];
      expect(torch).toBe(threads);
      expect(threads).toBeLessThan(100_000);
    });

    const hasTaskset = onLinux === test && spawnSync('taskset', ['-c', '0', 'true']).status === 0;
    (hasTaskset && availableParallelism() > 1 ? test : test.skip)('are those of the affinity mask', () => {
      const { stdout } = spawnSync('taskset', ['-c', '0', process.execPath, '-e', THREADS], {
        cwd: root,
        env: { ...process.env, OMP_NUM_THREADS: undefined },
        encoding: 'utf8',
      });
      expect(JSON.parse(stdout)).toEqual([1, 'affinity', 1]);
    });
  });

  test.each(['avx1', 'AVX2', ''])('an instruction set named %j causes a warning', (isa) => {
    const { stderr } = spawnSync(process.execPath, ['-e', `require('./dist').Tensor.zeros([1])`], {
      cwd: root,
      env: { ...process.env, TOKENLEARNER_CPU_ISA: isa },
      encoding: 'utf8',
    });
    expect(stderr).toContain(`TOKENLEARNER_CPU_ISA on this processor but received '${isa}'`);
  });

  test('TOKENLEARNER_CPU_ISA chooses each instruction set that this processor has', () => {
    const names = fresh(addon).binding().cpu().isas;
    const used = names.map((isa) =>
      run(`console.log(JSON.stringify(require('./dist').runtime.info().cpu.isa))`, {
        TOKENLEARNER_CPU_ISA: isa,
      }),
    );
    expect(used).toEqual(names);
  });

  const moduleOn = (folder: string): string => `
    const { runtime, Linear, Tensor } = require('./dist');
    let code = null, message = '';
    try { new Linear(1, 1).forwardSync(Tensor.ones([1])) } catch (error) { ({ code, message } = error) }
    console.log(JSON.stringify({ code, names: message.includes(${JSON.stringify(folder)}), message, source: runtime.info().libtorch.source }));`;

  onLinux('a working directory that was deleted is an error and no end of the process', () => {
    const result = run(`
      const fs = require('fs'), os = require('os'), path = require('path');
      const { Linear } = require('./dist');
      const gone = fs.mkdtempSync(path.join(os.tmpdir(), 'tokenlearner-gone-'));
      process.chdir(gone);
      fs.rmdirSync(gone);
      const codes = [];
      for (const folder of [null, os.tmpdir()]) {
        if (folder !== null) process.chdir(folder);
        try { new Linear(1, 1); codes.push('done') } catch (error) { codes.push(error.code) }
      }
      console.log(JSON.stringify(codes));
    `);
    expect(result).toEqual(['ERR_LIBTORCH_LOAD', 'done']);
  });

  describe('a libtorch that the process has already loaded', () => {
    const libDir =
      jest.requireActual<typeof import('../../lib')>('../../lib').runtime.info().libtorch.path ?? '';
    // Any library of this name can block the real one.
    const driver = path.join(root, 'build', 'cmake', 'test', 'native', 'fake-driver');
    const [fake] = existsSync(driver) ? readdirSync(driver).filter((name) => name.includes('.so')) : [];
    const stranger = path.join(folder, 'other-libtorch', 'libtorch_cpu.so');

    onLinux('is used if it fits, by a second copy of the package too', () => {
      const copy = path.join(folder, 'copy');
      mkdirSync(copy, { recursive: true });
      for (const name of ['dist', 'package.json', path.relative(root, addon)])
        cpSync(path.join(root, name), path.join(copy, name), { recursive: true });
      symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
      const result = run(
        `
        const first = require('./dist');
        const second = require(${JSON.stringify(path.join(copy, 'dist'))});
        const [a, b] = [first, second].map(({ Linear, Tensor, manualSeed }) => {
          manualSeed(0);
          const { data } = new Linear(3, 2).forwardSync(Tensor.ones([3])).toJSON();
          // The second copy must find by itself what the first one has loaded.
          process.env.TOKENLEARNER_LIBTORCH = '';
          return data;
        });
        const path = second.runtime.info().libtorch;
        console.log(JSON.stringify({ same: String(a) === String(b), source: path.source, path: path.path }));
      `,
        { TOKENLEARNER_LIBTORCH: libDir },
      );
      expect(result).toEqual({ same: true, source: 'process', path: libDir });
    });

    (fake === undefined ? test.skip : onLinux)(
      'is named in the error, with the other one, if it does not fit',
      () => {
        mkdirSync(path.dirname(stranger), { recursive: true });
        copyFileSync(path.join(driver, fake ?? ''), stranger);
        for (const explicit of ['', libDir]) {
          const result = run(moduleOn(libDir), { LD_PRELOAD: stranger, TOKENLEARNER_LIBTORCH: explicit });
          // Without an explicit one, the other is whichever this machine has.
          expect(result).toMatchObject({ code: 'ERR_LIBTORCH_LOAD', ...(explicit && { names: true }) });
          expect((result as { message: string }).message).toContain(path.dirname(stranger));
          expect((result as { message: string }).message).toContain('beside it');
        }
      },
    );
  });

  test('configure sets the libtorch', () => {
    const result = run(`
      const { runtime, Linear } = require('./dist');
      runtime.configure({ libtorch: ${JSON.stringify(path.join(folder, 'none'))} });
      let code; try { new Linear(1, 1) } catch (error) { code = error.code }
      runtime.configure({});
      console.log(JSON.stringify(code));
    `);
    expect(result).toBe('ERR_LIBTORCH_NOT_FOUND');
  });
});
