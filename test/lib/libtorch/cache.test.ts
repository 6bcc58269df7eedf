import path from 'node:path';
import { cachedRuntimeFolders, cacheFolder, runtimeFolder } from '../../../lib/libtorch/cache';
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
  ] as const)('on %s with %j is %s', (platform, env, expected) => {
    expect(cacheFolder({ ...fakeHost(home, env), platform })).toBe(expected);
  });
});

describe('cachedRuntimeFolders', () => {
  it('is empty where there is no cache', () => {
    expect(cachedRuntimeFolders(fakeHost(path.join(home, 'nowhere')))).toEqual([]);
  });

  it('leaves out locks and the temporary folders of installs', () => {
    const host = fakeHost(home);
    const folder = runtimeFolder(host, '2.13.0', 'cpu');
    writeFiles(path.dirname(folder), {
      '2.13.0-cpu/runtime.json': '',
      '2.13.0-cpu.lock': '',
      '2.13.0-cpu~0a1b/runtime.json': '',
      'notes.txt': '',
    });
    expect(cachedRuntimeFolders(host)).toEqual([folder]);
  });
});
