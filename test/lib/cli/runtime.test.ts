import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import { type RuntimeIo, runtimeCommand } from '../../../lib/cli/runtime';
import { manifest } from '../../../lib/libtorch/manifest';
import {
  fakeHost,
  fakeLibtorch,
  installedRuntime,
  runtimeJson,
  temporaryFolder,
  writeFiles,
  zip,
} from '../libtorch/support';

const folder = temporaryFolder();
const VERSION = manifest.version;
let homes = 0;

/** The command on a machine of its own, and what it says. */
function machine(): {
  io: RuntimeIo;
  out: string[];
  log: string[];
  cache: string;
  run: (line: string) => Promise<unknown>;
} {
  const [out, log]: [string[], string[]] = [[], []];
  const home = path.join(folder, `home-${++homes}`);
  // PATH is empty, so there is no Python and no pip.
  const host = fakeHost(home, { PATH: folder, TOKENLEARNER_LIBTORCH: '' });
  const progress = { write: () => true };
  const io = { host, progress, out: (line: string) => out.push(line), log: (line: string) => log.push(line) };
  const command: Command = runtimeCommand(io).exitOverride();
  const run = (line: string) => command.parseAsync(line.split(' '), { from: 'user' });
  return { io, out, log, cache: path.join(home, '.cache', 'tokenlearner', 'libtorch'), run };
}

function installed(cache: string): string {
  const root = path.join(cache, `${VERSION}-cpu`);
  fakeLibtorch(root, { 'runtime.json': runtimeJson(VERSION) });
  return root;
}

const wheel = (version: string): Buffer =>
  zip({
    'torch/version.py': `__version__ = '${version}+cpu'\n`,
    'torch/lib/libtorch_cpu.so': 'cpu',
    'torch/lib/libc10.so': 'c10',
  });

describe('list', () => {
  it('shows what can be installed, who checks it, and what is in use', async () => {
    const { out, run, cache } = machine();
    const root = installed(cache);
    await run('list');
    const text = out.join('\n');
    expect(text).toMatch(new RegExp(`cpu +${VERSION.replaceAll('.', '\\.')} .*sha256 pinned +${root}`));
    expect(text).toMatch(/cu130 .*sha256 pinned +not installed/);
    expect(text).toMatch(/cu126 .*by pip only: no hash is known +not installed/);
    expect(out.at(-1)).toBe(`In use: ${path.join(root, 'lib')}`);
  });

  it('prints JSON', async () => {
    const { out, run, cache } = machine();
    const root = installed(cache);
    await run('list --json');
    expect(JSON.parse(out.join('\n'))).toMatchObject({
      inUse: path.join(root, 'lib'),
      runtimes: expect.arrayContaining([
        expect.objectContaining({ variant: 'cpu', installed: true }),
      ]) as unknown,
    });
  });
});

describe('install', () => {
  it('installs from a file, prints the lib folder, and is then in use', async () => {
    const { out, log, run, cache } = machine();
    const file = path.join(folder, 'own.whl');
    writeFileSync(file, wheel(VERSION));
    await run(`install --from-file ${file}`);
    expect(out).toEqual([path.join(cache, `${VERSION}-cpu`, 'lib')]);
    expect(log.join('\n')).not.toContain('export');
  });

  it('installs into a folder, and tells how to use it', async () => {
    const { out, log, run } = machine();
    const [file, own] = [path.join(folder, 'own.whl'), path.join(folder, 'image')];
    await run(`install --from-file ${file} --dir ${own}`);
    expect(out).toEqual([path.join(own, 'lib')]);
    expect(log.at(-1)).toBe(`To use it: export TOKENLEARNER_LIBTORCH=${path.join(own, 'lib')}`);
  });

  it('refuses a variant that there is not, and a file of another version', async () => {
    const { run } = machine();
    await expect(run('install --variant cu1')).rejects.toThrow(
      'Expected one of cpu, cu130, cu126 for --variant but received cu1 [ERR_INVALID_ARG_VALUE]',
    );
    const old = path.join(folder, 'old.whl');
    writeFileSync(old, wheel('2.12.0'));
    await expect(run(`install --from-file ${old}`)).rejects.toThrow(
      `holds libtorch 2.12.0 (cpu), expected ${VERSION}`,
    );
  });
});

describe('remove', () => {
  it('removes one variant', async () => {
    const { log, run, cache } = machine();
    const root = installed(cache);
    await run('remove --variant cu130');
    expect(log).toEqual(['There is nothing to remove.']);
    await run('remove --variant cpu');
    expect(existsSync(root)).toBe(false);
  });

  it('removes everything, and what lies in a folder of its own', async () => {
    const { run, cache } = machine();
    const root = installed(cache);
    await run('remove --all');
    expect(existsSync(root)).toBe(false);
    const own = installedRuntime(path.join(folder, 'to-remove'));
    // Commander keeps the options of an earlier run, so each run has its own command.
    await machine().run(`remove --dir ${own}`);
    expect(existsSync(own)).toBe(false);
  });

  const UUID = '0b0e3c2a-5b0f-4c57-9d4b-3d6c5b7a8f10';

  /** A cache after an interrupted install: a partial download, a folder that was being unpacked, locks of a process that is gone. */
  function interrupted(cache: string, name: string): void {
    // The process that ended last is gone, and its id is not in use again.
    const { pid } = spawnSync(process.execPath, ['--version']);
    const lock = JSON.stringify({ token: UUID, pid, host: hostname() });
    writeFiles(path.dirname(cache), {
      [`downloads/${name}/torch.zip.part`]: 'p'.repeat(2_000_000),
      [`downloads/${name}.lock`]: lock,
      [`libtorch/${name}~${UUID}/lib/libtorch_cpu.so`]: 'half',
      [`libtorch/${name}.lock`]: lock,
      [`libtorch/${name}.lock.${UUID}`]: lock,
    });
  }

  const below = (folder: string): string[] =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();

  it('removes what interrupted installs left, with --all', async () => {
    const { run, cache, log } = machine();
    interrupted(cache, `${VERSION}-cpu`);
    interrupted(cache, '2.12.0-cu126');
    writeFiles(path.dirname(cache), { 'libtorch/notes.txt': 'mine', 'downloads/mine.txt': 'mine' });
    await run('remove --all');
    expect(below(path.dirname(cache))).toEqual([
      'downloads',
      'downloads/mine.txt',
      'libtorch',
      'libtorch/notes.txt',
    ]);
    expect(log.sort()).toEqual([
      `Removed what interrupted installs left of ${path.join(cache, '2.12.0-cu126')}`,
      `Removed what interrupted installs left of ${path.join(cache, `${VERSION}-cpu`)}`,
    ]);
  });

  it('removes those of one variant only', async () => {
    const { run, cache } = machine();
    const root = installed(cache);
    interrupted(cache, `${VERSION}-cpu`);
    interrupted(cache, `${VERSION}-cu130`);
    await run('remove --variant cpu');
    expect(existsSync(root)).toBe(false);
    expect(readdirSync(path.join(path.dirname(cache), 'downloads')).sort()).toEqual([
      `${VERSION}-cu130`,
      `${VERSION}-cu130.lock`,
    ]);
    expect(readdirSync(cache).every((name) => name.startsWith(`${VERSION}-cu130`))).toBe(true);
  });

  it('removes those beside a folder that was named', async () => {
    const own = path.join(folder, 'unfinished');
    writeFiles(folder, { [`unfinished~${UUID}/lib/libtorch_cpu.so`]: 'half' });
    await machine().run(`remove --dir ${own}`);
    expect(below(folder).filter((name) => name.startsWith('unfinished'))).toEqual([]);
  });

  it('waits for an install that is under way', async () => {
    const { run, cache, log } = machine();
    interrupted(cache, `${VERSION}-cpu`);
    const lock = path.join(cache, `${VERSION}-cpu.lock`);
    writeFileSync(lock, JSON.stringify({ token: UUID, pid: process.pid, host: hostname() }));
    const removing = run('remove --all');
    while (log.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(log).toEqual([
      `Another process is installing ${path.join(cache, `${VERSION}-cpu`)}; waiting for it.`,
    ]);
    expect(existsSync(path.join(path.dirname(cache), 'downloads', `${VERSION}-cpu`))).toBe(true);
    rmSync(lock);
    await removing;
    expect(readdirSync(cache)).toEqual([]);
  });

  it('list says how much they take', async () => {
    const { run, cache, out } = machine();
    interrupted(cache, `${VERSION}-cpu`);
    await run('list');
    expect(out.at(-1)).toMatch(/^Left by interrupted installs, or in use by one: 3 MB/);
  });

  it('path refuses a variant that does not exist', async () => {
    await expect(machine().run('path --variant typo')).rejects.toThrow('for --variant but received typo');
  });

  it('refuses a variant that does not exist, and a cache that cannot be read', async () => {
    const { run, cache } = machine();
    await expect(run('remove --variant typo')).rejects.toThrow(
      'Expected one of cpu, cu130, cu126 for --variant but received typo [ERR_INVALID_ARG_VALUE]',
    );
    installed(path.join(path.dirname(cache), 'libtorch', 'x'));
    rmSync(cache, { recursive: true });
    writeFileSync(cache, 'a file');
    await expect(machine().run('remove --variant typo')).rejects.toThrow('[ERR_INVALID_ARG_VALUE]');
    await expect(run('remove --all')).rejects.toThrow(/Nothing was removed from the cache: .*ENOTDIR/);
  });

  it('removes nothing without a choice, and nothing that it did not install', async () => {
    await expect(machine().run('remove')).rejects.toThrow('Expected one of --variant, --dir and --all');
    const own = path.join(folder, 'mine');
    writeFiles(own, { 'thesis.txt': 'words' });
    await expect(machine().run(`remove --dir ${own}`)).rejects.toThrow('holds no libtorch');
    expect(existsSync(path.join(own, 'thesis.txt'))).toBe(true);
  });
});

describe('path', () => {
  it('prints the one in use, or that of a variant', async () => {
    const { out, run, cache } = machine();
    const root = installed(cache);
    await run('path');
    await run('path --variant cpu');
    expect(out).toEqual([path.join(root, 'lib'), path.join(root, 'lib')]);
  });

  it('says how to install one that is missing', async () => {
    await expect(machine().run('path --variant cu130')).rejects.toThrow(
      'npx tokenlearner runtime install --variant cu130',
    );
  });
});

describe('on musl', () => {
  const onLinux = process.platform === 'linux' ? it : it.skip;

  onLinux('nothing is downloaded that cannot be loaded', async () => {
    await jest.isolateModulesAsync(async () => {
      jest.doMock('../../../lib/libtorch/libc', () => ({
        ...jest.requireActual<object>('../../../lib/libtorch/libc'),
        isMusl: () => true,
      }));
      const { io, out } = machine();
      // eslint-disable-next-line @typescript-eslint/no-require-imports
      const fresh = require('../../../lib/cli/runtime') as typeof import('../../../lib/cli/runtime');
      const run = (line: string): Promise<unknown> =>
        fresh.runtimeCommand(io).exitOverride().parseAsync(line.split(' '), { from: 'user' });
      for (const line of ['install', 'path --variant cpu'])
        await expect(run(line)).rejects.toThrow('no libtorch for musl');
      await run('list');
      expect(out.join('\n')).not.toContain('not installed');
    });
  });
});
