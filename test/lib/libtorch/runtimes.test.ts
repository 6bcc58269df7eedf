import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { listRuntimes, removeRuntime } from '../../../lib/libtorch/runtimes';
import {
  fakeHost,
  fakeLibtorch,
  fakeManifest,
  installedRuntime,
  runtimeJson,
  temporaryFolder,
  writeFiles,
} from './support';

const folder = temporaryFolder();

function hostWith(name: string): { host: ReturnType<typeof fakeHost>; cache: string } {
  const home = path.join(folder, name);
  return { host: fakeHost(home), cache: path.join(home, '.cache', 'tokenlearner', 'libtorch') };
}

describe('listRuntimes', () => {
  it('lists what can be installed, who vouches for it, and what is', () => {
    const { host, cache } = hostWith('list');
    fakeLibtorch(path.join(cache, '2.13.0-cpu'), { 'runtime.json': runtimeJson('2.13.0') });
    fakeLibtorch(path.join(cache, '2.12.0-cpu'), { 'runtime.json': runtimeJson('2.12.0') });
    expect(listRuntimes(host, fakeManifest('unused', Buffer.from('x')))).toMatchObject([
      { variant: 'cpu', version: '2.13.0', installed: true, verified: 'sha256' },
      { variant: 'cpu', version: '2.12.0', installed: true, verified: null },
    ]);
    expect(listRuntimes(hostWith('none').host, fakeManifest('unused', null))).toMatchObject([
      { variant: 'cpu', installed: false, verified: 'pip', size: 10_000 },
    ]);
  });

  it('lists what can be installed also for a user without a cache', () => {
    const nobody = { ...hostWith('unused').host, home: null };
    expect(listRuntimes(nobody, fakeManifest('unused', null))).toMatchObject([
      { folder: null, installed: false },
    ]);
  });

  it('offers nothing for a platform that the manifest does not have', () => {
    const { host } = hostWith('other');
    expect(listRuntimes({ ...host, arch: 'mips' }, fakeManifest('unused', null))).toEqual([]);
  });

  it('does not call a damaged one installed', () => {
    const { host, cache } = hostWith('damaged');
    const record = runtimeJson('2.13.0', { files: { 'lib/libtorch_cpu.so': 7 } });
    fakeLibtorch(path.join(cache, '2.13.0-cpu'), { 'runtime.json': record });
    expect(listRuntimes(host, fakeManifest('unused', null))).toMatchObject([{ installed: false }]);
  });
});

describe('removeRuntime', () => {
  it('removes a runtime and leaves nothing', async () => {
    const parent = path.join(folder, 'remove');
    await removeRuntime(installedRuntime(path.join(parent, 'libtorch')));
    expect(readdirSync(parent)).toEqual([]);
  });

  it('removes what is in the cache also where it is damaged', async () => {
    const { host, cache } = hostWith('remove-damaged');
    const root = path.join(cache, '2.13.0-cpu');
    fakeLibtorch(root, { 'runtime.json': '{' });
    await removeRuntime(root, { host });
    expect(readdirSync(cache)).toEqual([]);
  });

  it('refuses a folder that is not a runtime', async () => {
    const root = path.join(folder, 'precious');
    writeFiles(root, { 'thesis.txt': 'words' });
    const failed = removeRuntime(root);
    await expect(failed).rejects.toMatchObject({ code: 'ERR_LIBTORCH_INSTALL' });
    await expect(failed).rejects.toThrow('holds no libtorch that was installed here');
    expect(existsSync(path.join(root, 'thesis.txt'))).toBe(true);
  });

  it('refuses a runtime that holds something else as well', async () => {
    const root = installedRuntime(path.join(folder, 'shared'), { 'lib/mine.so': 'mine' });
    await expect(removeRuntime(root)).rejects.toThrow(`it also holds ${path.join('lib', 'mine.so')}`);
    expect(readdirSync(path.join(root, 'lib'))).toContain('mine.so');
  });
});
