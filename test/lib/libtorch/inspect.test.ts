import path from 'node:path';
import { inspectLibtorch } from '../../../lib/libtorch/inspect';
import { fakeHost, fakeLibtorch, runtimeJson, temporaryFolder, writeFiles } from './support';

const folder = temporaryFolder();
const host = fakeHost(folder);

function inspect(name: string): ReturnType<typeof inspectLibtorch> {
  return inspectLibtorch(path.join(folder, name), host);
}

function reason(name: string): string {
  const inspection = inspect(name);
  return inspection.ok ? 'usable' : inspection.reason;
}

describe('inspectLibtorch', () => {
  it('takes a root, its lib folder, and a site-packages', () => {
    const root = fakeLibtorch(path.join(folder, 'site-packages', 'torch'), {
      'version.py': "__version__ = '2.14.1+cu130'\ncuda: Optional[str] = '13.0'\n",
      'lib/libtorch_cuda.so': '',
    });
    const found = {
      root,
      libDir: path.join(root, 'lib'),
      version: '2.14.1',
      variant: 'cu130',
      hasCuda: true,
    };
    expect(inspect('site-packages/torch')).toEqual({ ok: true, found });
    expect(inspect('site-packages/torch/lib')).toEqual({ ok: true, found });
    expect(inspect('site-packages')).toEqual({ ok: true, found });
  });

  it("reads the official archive's build-version", () => {
    fakeLibtorch(path.join(folder, 'official'), { 'build-version': '2.12.0+cpu\n' });
    expect(inspect('official')).toMatchObject({
      found: { version: '2.12.0', variant: 'cpu', hasCuda: false },
    });
  });

  it('accepts a libtorch that does not say its version', () => {
    fakeLibtorch(path.join(folder, 'bare'));
    expect(inspect('bare')).toMatchObject({ ok: true, found: { version: null, variant: null } });
  });

  it('looks for the names of the platform', () => {
    writeFiles(path.join(folder, 'mac'), { 'lib/libtorch_cpu.dylib': '', 'lib/libc10.dylib': '' });
    writeFiles(path.join(folder, 'windows'), {
      'lib/torch_cpu.dll': '',
      'lib/c10.dll': '',
      'lib/torch_cuda.dll': '',
    });
    expect(inspectLibtorch(path.join(folder, 'mac'), { ...host, platform: 'darwin' })).toMatchObject({
      ok: true,
    });
    expect(inspectLibtorch(path.join(folder, 'windows'), { ...host, platform: 'win32' })).toMatchObject({
      found: { hasCuda: true },
    });
    expect(reason('mac')).toMatch(/no libtorch_cpu\.so/);
  });

  it('says why a folder does not do', () => {
    writeFiles(folder, { 'half/lib/libtorch_cpu.so': '', file: '' });
    fakeLibtorch(path.join(folder, 'arm'), { 'runtime.json': runtimeJson('2.13.0', { arch: 'arm64' }) });
    expect(reason('missing')).toMatch(/^no such folder/);
    expect(reason('file')).toMatch(/^not a folder/);
    expect(reason('half')).toMatch(/without libc10\.so/);
    expect(reason('arm')).toMatch(/for linux-arm64, not for linux-x64/);
  });

  it('notices a file of another size than was installed', () => {
    const files = { 'lib/libtorch_cpu.so': 7 };
    fakeLibtorch(path.join(folder, 'cut'), { 'runtime.json': runtimeJson('2.13.0', { files }) });
    expect(reason('cut')).toMatch(/damaged: lib\/libtorch_cpu\.so has 0 bytes instead of 7/);
  });

  it.each(['2.10.0', '1.13.1', '2.9.9'])('rejects %s as too old', (version) => {
    fakeLibtorch(path.join(folder, version), { 'build-version': version });
    expect(inspect(version)).toMatchObject({ ok: false, tooOld: version });
    expect(reason(version)).toContain('2.11 or later');
  });

  it('ignores a record that is not one', () => {
    fakeLibtorch(path.join(folder, 'odd'), { 'runtime.json': 'null', 'build-version': '2.13.0' });
    expect(inspect('odd')).toMatchObject({ ok: true, found: { version: '2.13.0' } });
  });
});
