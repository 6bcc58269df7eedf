import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { installLibtorch } from '../../../lib/libtorch/install';
import { locateLibtorch } from '../../../lib/libtorch/locate';
import {
  fakeHost,
  fakeLibtorch,
  fakeManifest,
  runtimeJson,
  temporaryFolder,
  wheelFiles,
  writeFiles,
  zip,
} from './support';

const folder = temporaryFolder();
const CACHE = path.join('.cache', 'tokenlearner');
const RUNTIME = path.join(CACHE, 'libtorch', '2.13.0-cpu');
const onPosix = process.platform === 'win32' ? describe.skip : describe;
const asRoot = process.getuid?.() === 0 ? it : it.skip;
let homes = 0;

/** A host with a libtorch in its cache. */
function machine(): ReturnType<typeof fakeHost> {
  const home = path.join(folder, `home-${++homes}`);
  fakeLibtorch(path.join(home, RUNTIME), { 'runtime.json': runtimeJson('2.13.0') });
  return fakeHost(home);
}

const locate = (host: ReturnType<typeof fakeHost>) =>
  locateLibtorch({ host, resolvePackage: () => null, findPython: () => ({ folder: null, reason: 'none' }) });

onPosix('a cache that others can write', () => {
  it.each([
    [CACHE, 0o777],
    [CACHE, 0o775],
    [CACHE, 0o1777],
    [path.dirname(RUNTIME), 0o757],
    [RUNTIME, 0o777],
    [path.join(RUNTIME, 'lib'), 0o770],
    [path.join(RUNTIME, 'lib', 'libtorch_cpu.so'), 0o666],
  ])('is skipped: %s with mode %o', (name, mode) => {
    const host = machine();
    expect(locate(host).source).toBe('cache');
    const file = path.join(host.home, name);
    chmodSync(file, mode);
    expect(() => locate(host)).toThrow(`others can write to ${file}: run chmod go-w`);
    chmodSync(file, 0o755);
    expect(locate(host).source).toBe('cache');
  });

  asRoot('is skipped if it belongs to another user', () => {
    const host = machine();
    const file = path.join(host.home, RUNTIME);
    chownSync(file, 12345, 12345);
    expect(() => locate(host)).toThrow(`${file} belongs to another user, uid 12345`);
  });

  it('is not installed into', async () => {
    const host = fakeHost(path.join(folder, 'open'));
    const cache = path.join(host.home, CACHE);
    mkdirSync(cache, { recursive: true });
    chmodSync(cache, 0o777);
    const pip = jest.fn();
    const failed = installLibtorch({ host, pip, manifest: fakeManifest('unused', null) });
    await expect(failed).rejects.toMatchObject({ code: 'ERR_LIBTORCH_INSTALL' });
    await expect(failed).rejects.toThrow(`others can write to ${cache}`);
    expect(pip).not.toHaveBeenCalled();
  });

  it('does not come from an install, whatever the umask', async () => {
    const umask = process.umask(0);
    try {
      writeFiles(folder, { 'given.whl': zip(wheelFiles) });
      const host = fakeHost(path.join(folder, 'umask'));
      const fromFile = path.join(folder, 'given.whl');
      await installLibtorch({ host, fromFile, manifest: fakeManifest('unused', null) });
      expect(locate(host).source).toBe('cache');
    } finally {
      process.umask(umask);
    }
  });

  it('does not matter for a folder that is named', () => {
    const host = machine();
    const root = path.join(host.home, RUNTIME);
    chmodSync(root, 0o777);
    expect(locateLibtorch({ host: { ...host, env: { TOKENLEARNER_LIBTORCH: root } } }).source).toBe(
      'environment',
    );
  });
});
