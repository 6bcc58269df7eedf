import os from 'node:os';
import path from 'node:path';
import {
  cachedRuntimeFolders,
  cacheFolder,
  type Host,
  listCache,
  runtimeFolder,
  thisHost,
} from '../../../lib/libtorch/cache';
import { fakeHost, temporaryFolder, writeFiles } from './support';

const home = temporaryFolder();

describe('cacheFolder', () => {
  it.each([
    ['linux', {}, path.join(home, '.cache', 'tokenlearner')],
    ['linux', { XDG_CACHE_HOME: path.join(home, 'xdg') }, path.join(home, 'xdg', 'tokenlearner')],
    ['linux', { XDG_CACHE_HOME: 'relative' }, path.join(home, '.cache', 'tokenlearner')],
    ['linux', { TOKENLEARNER_CACHE: path.join(home, 'own'), XDG_CACHE_HOME: home }, path.join(home, 'own')],
    ['darwin', {}, path.join(home, 'Library', 'Caches', 'tokenlearner')],
    ['win32', { LOCALAPPDATA: path.join(home, 'Local') }, path.join(home, 'Local', 'tokenlearner')],
    ['win32', {}, path.join(home, 'AppData', 'Local', 'tokenlearner')],
    ['win32', { LOCALAPPDATA: '' }, path.join(home, 'AppData', 'Local', 'tokenlearner')],
    ['win32', { LOCALAPPDATA: 'relative' }, path.join(home, 'AppData', 'Local', 'tokenlearner')],
  ] as const)('on %s with %j is %s', (platform, env, expected) => {
    expect(cacheFolder({ ...fakeHost(home, env), platform })).toBe(expected);
  });
});

describe('without a home', () => {
  const hosts = (home: string | null): Host[] =>
    (['linux', 'darwin', 'win32'] as const).map((platform) => ({ env: {}, platform, arch: 'x64', home }));

  it.each([null, '', 'relative', './home', '~'])(
    '%j is none: no cache, nothing below the working directory',
    (none) => {
      for (const host of hosts(none)) {
        expect(cacheFolder(host)).toBeNull();
        expect(runtimeFolder(host, '2.13.0', 'cpu')).toBeNull();
        expect(listCache(host)).toEqual({
          folders: [],
          reason: expect.stringContaining('TOKENLEARNER_CACHE can name one') as string,
        });
      }
    },
  );

  it('a cache that is named is used all the same', () => {
    const own = path.join(home, 'own');
    for (const host of hosts(null))
      expect(cacheFolder({ ...host, env: { TOKENLEARNER_CACHE: own } })).toBe(own);
  });

  it('a user whom the system does not know has none', () => {
    const unknown = jest.spyOn(os, 'homedir').mockImplementation(() => {
      throw new Error('ENOENT: no such file or directory, uv_os_homedir');
    });
    expect(thisHost().home).toBeNull();
    unknown.mockRestore();
  });
});

describe('cachedRuntimeFolders', () => {
  it('is empty without a cache', () => {
    expect(cachedRuntimeFolders(fakeHost(path.join(home, 'nowhere')))).toEqual([]);
    expect(listCache(fakeHost(path.join(home, 'nowhere'))).reason).toBeNull();
  });

  it('says why the cache cannot be listed', () => {
    writeFiles(path.join(home, 'odd'), { '.cache/tokenlearner/libtorch': 'a file' });
    expect(listCache(fakeHost(path.join(home, 'odd'))).reason).toMatch(/libtorch cannot be read: ENOTDIR/);
  });

  it('leaves out locks and the temporary folders of installs', () => {
    const host = fakeHost(home);
    const folder = runtimeFolder(host, '2.13.0', 'cpu');
    writeFiles(path.dirname(folder ?? ''), {
      '2.13.0-cpu/runtime.json': '',
      '2.13.0-cpu.lock': '',
      '2.13.0-cpu~0a1b/runtime.json': '',
      'notes.txt': '',
    });
    expect(cachedRuntimeFolders(host)).toEqual([folder]);
  });
});
