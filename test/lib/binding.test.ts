import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type * as Binding from '../../lib/binding';

const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-binding-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** lib/binding.ts as it is when first imported, where the addon is this file, if any. */
function fresh(file: string | null): typeof Binding {
  jest.resetModules();
  jest.doMock('../../lib/libtorch/addon-file', () => ({ findAddon: () => file }));
  return jest.requireActual('../../lib/binding');
}

/** What `run` throws; its class is that of the fresh modules. */
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

test('info tells of a missing binary instead of throwing', () => {
  fresh(null);
  const { runtime } = jest.requireActual<typeof import('../../lib')>('../../lib');
  expect(runtime.info()).toMatchObject({
    addon: null,
    libtorch: null,
    devices: [],
    cuda: { available: false },
    problem: { code: 'ERR_ADDON_NOT_FOUND' },
  });
});

test('info tells of whatever else goes wrong, too', () => {
  jest.doMock('../../lib/libtorch/locate', () => ({
    locateLibtorch: () => {
      throw new Error('uv_os_homedir returned ENOENT');
    },
  }));
  fresh(path.join(__dirname, '..', '..', 'build', 'Release', 'tokenlearner.node'));
  const { runtime } = jest.requireActual<typeof import('../../lib')>('../../lib');
  expect(runtime.info()).toMatchObject({
    libtorch: null,
    problem: { code: 'ERR_LIBTORCH_LOAD', message: 'uv_os_homedir returned ENOENT' },
  });
});

describe('in a process of its own', () => {
  const root = path.join(__dirname, '..', '..');

  /** Runs code on the compiled package; what it prints as JSON. */
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

  onLinux('importing the package loads neither addon nor libtorch; a tensor loads the addon alone', () => {
    const loaded = run(`
      const { Tensor, Linear } = require('./dist');
      // The addon's name in a build, and in prebuilds.
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
  });

  test('a libtorch that is not there is a typed error, which info reports', () => {
    const result = run(
      `
      const { runtime, Linear } = require('./dist');
      const { libtorch, problem } = runtime.info();
      let code; try { new Linear(1, 1) } catch (error) { code = error.code }
      console.log(JSON.stringify({ libtorch, problem: problem.code, code }));
    `,
      { TOKENLEARNER_LIBTORCH: path.join(folder, 'none') },
    );
    expect(result).toEqual({
      libtorch: null,
      problem: 'ERR_LIBTORCH_NOT_FOUND',
      code: 'ERR_LIBTORCH_NOT_FOUND',
    });
  });

  test('no variable names an addon elsewhere', () => {
    const file = path.join(folder, 'elsewhere', 'build', 'Release', 'foreign.node');
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, 'foreign');
    const found = run(`console.log(JSON.stringify(require('./dist').runtime.info().addon.path))`, {
      TOKENLEARNER_PREBUILD: path.join(folder, 'elsewhere'),
    });
    expect(path.relative(root, found as string)).toMatch(/^(?:build|prebuilds)\b/);
  });

  test.each([{ HOME: '' }, { HOME: '.' }, { HOME: 'folder' }])(
    'with %j all goes on without a cache',
    (env) => {
      const code = `
      const { runtime } = require('./dist');
      const { addon, libtorch, problem } = runtime.info();
      console.log(JSON.stringify([addon !== null, libtorch?.source ?? problem.code]));`;
      const [addon, source] = run(code, { ...env, XDG_CACHE_HOME: '', TOKENLEARNER_LIBTORCH: '' }) as [
        boolean,
        string,
      ];
      expect(addon).toBe(true);
      expect(['python', 'package', 'ERR_LIBTORCH_NOT_FOUND', 'ERR_LIBTORCH_INCOMPATIBLE']).toContain(source);
    },
  );

  // A user whom the system does not know, as containers have, which only root can become.
  const asRoot = process.getuid?.() === 0 ? test : test.skip;

  asRoot(
    'a user without a home and without an entry in the system: info tells, modules say what is missing',
    () => {
      const result = run(
        `
      const { runtime, Linear, Tensor } = require('./dist');
      // Loads the addon: the checkout may be root's alone.
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

  test('configure names a libtorch', () => {
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
