import { readdirSync } from 'node:fs';
import path from 'node:path';
import { installLibtorch, type InstallOptions } from '../../../lib/libtorch/install';
import { locateLibtorch } from '../../../lib/libtorch/locate';
import type { Manifest } from '../../../lib/libtorch/manifest';
import type { pipDownload, pipDownloadAll } from '../../../lib/libtorch/pip';
import { type FakeHost, fakeHost, sha256, temporaryFolder, writeFiles, zip } from './support';

const folder = temporaryFolder();
const TORCH = 'torch-2.14.1-cp311-cp311-linux_x86_64.whl';
const CUBLAS = 'nvidia_cublas-13.1.1.3-py3-none-linux_x86_64.whl';
const torch = zip({
  'torch/version.py': "__version__ = '2.14.1+cu130'\n",
  'torch/lib/libtorch_cpu.so': 'cpu',
  'torch/lib/libtorch_cuda.so': 'cuda',
  'torch/lib/libtorch_nvshmem.so': 'nvshmem',
  'torch/lib/libc10.so': 'c10',
  'torch/lib/libshm.so': 'not needed',
  'torch-2.14.1.dist-info/METADATA': 'Requires-Dist: nvidia-cublas==13.1.1.3; platform_system == "Linux"\n',
  'torch-2.14.1.dist-info/licenses/third_party/fmt/LICENSE': 'licence',
});
const cublas = zip({
  'nvidia/cu13/lib/libcublas.so.13': 'cublas',
  'nvidia/cu13/include/cublas.h': 'not needed',
  'nvidia_cublas-13.1.1.3.dist-info/licenses/License.txt': 'licence',
});

const pin = (file: string, content: Buffer) => ({ file, size: content.length, sha256: sha256(content) });
const pins = [pin(TORCH, torch), pin(CUBLAS, cublas)];

function manifestWith(wheels: typeof pins): Manifest {
  const pip = { requirement: 'torch==2.14.1', platforms: ['linux_x86_64'], index: 'https://index.invalid' };
  const entry = { version: '2.14.1', pip, archive: null, wheels, unpackedSize: 10_000 };
  return { version: '2.13.0', variants: { cu130: { 'linux-x64': entry } } };
}

const bringTorch = jest.fn<ReturnType<typeof pipDownload>, Parameters<typeof pipDownload>>((_, target) => {
  writeFiles(target, { [TORCH]: torch });
  return Promise.resolve({ wheel: path.join(target, TORCH), reason: null });
});
const bringRest = jest.fn<ReturnType<typeof pipDownloadAll>, Parameters<typeof pipDownloadAll>>(
  (_, target) => {
    writeFiles(target, { [CUBLAS]: cublas });
    return Promise.resolve(null);
  },
);

let homes = 0;
function machine(more: Partial<Omit<InstallOptions, 'host'>> = {}): InstallOptions & { host: FakeHost } {
  const host = fakeHost(path.join(folder, `home-${++homes}`));
  const parts = { manifest: manifestWith(pins), pip: bringTorch, pipAll: bringRest };
  return { variant: 'cu130', host, ...parts, ...more };
}

beforeEach(() => {
  jest.clearAllMocks();
});

describe('a CUDA build', () => {
  it('keeps the folders of the wheels, so that libtorch finds NVIDIA’s libraries', async () => {
    const options = machine();
    const found = await installLibtorch(options);
    const root = path.join(options.host.home, '.cache', 'tokenlearner', 'libtorch', '2.14.1-cu130');
    expect(found).toMatchObject({
      libDir: path.join(root, 'torch', 'lib'),
      version: '2.14.1',
      variant: 'cu130',
      hasCuda: true,
    });
    const files = readdirSync(root, { recursive: true, encoding: 'utf8', withFileTypes: true });
    const names = files.filter((each) => each.isFile()).map(({ name }) => name);
    expect(names.sort()).toEqual([
      'LICENSE',
      'License.txt',
      'libc10.so',
      'libcublas.so.13',
      'libtorch_cpu.so',
      'libtorch_cuda.so',
      'libtorch_nvshmem.so',
      'runtime.json',
      'version.py',
    ]);
    const none = { resolvePackage: () => null, findPython: () => ({ folder: null, reason: '' }) };
    expect(locateLibtorch({ host: options.host, ...none })).toMatchObject({ source: 'cache', hasCuda: true });
  });

  it('asks pip for the pinned versions alone', async () => {
    await installLibtorch(machine());
    expect(bringRest).toHaveBeenCalledWith(
      ['nvidia-cublas==13.1.1.3'],
      expect.anything(),
      'https://index.invalid',
      false,
    );
  });

  it('asks pip for what the metadata names where no hash is known, and says so', async () => {
    const log = jest.fn();
    await installLibtorch(machine({ manifest: manifestWith([]), log }));
    expect(bringRest.mock.calls[0]?.[0]).toEqual(['nvidia-cublas==13.1.1.3']);
    expect(bringRest.mock.calls[0]?.[3]).toBe(true);
    expect(log).toHaveBeenCalledWith(expect.stringContaining('No hashes of libtorch'));
  });

  it('takes no wheel of an earlier attempt where no hash is known', async () => {
    const options = machine({ manifest: manifestWith([]) });
    const downloads = path.join(options.host.home, '.cache', 'tokenlearner', 'downloads', '2.14.1-cu130');
    writeFiles(path.join(downloads, 'nvidia'), { 'nvidia_cublas-1.0-py3-none-linux_x86_64.whl': 'stale' });
    await expect(installLibtorch(options)).resolves.toMatchObject({ variant: 'cu130' });
  });

  it('refuses a wheel with another hash, and one that is not pinned', async () => {
    const wrong = [pin(TORCH, torch), { ...pin(CUBLAS, cublas), sha256: sha256('else') }];
    await expect(installLibtorch(machine({ manifest: manifestWith(wrong) }))).rejects.toThrow(
      /deleted: nvidia_cublas.* is not the expected file/,
    );
    const other = [{ ...pin(TORCH, torch), file: 'torch-2.14.1-cp999-cp999-linux_x86_64.whl' }];
    const options = machine({ manifest: manifestWith(other) });
    await expect(installLibtorch(options)).rejects.toThrow('not one of the pinned wheels');
    const downloads = path.join(options.host.home, '.cache', 'tokenlearner', 'downloads', '2.14.1-cu130');
    expect(readdirSync(downloads)).toEqual([]);
  });

  it('does not download again what an earlier attempt downloaded', async () => {
    const options = machine();
    bringRest.mockResolvedValueOnce('no space');
    await expect(installLibtorch(options)).rejects.toThrow(
      'pip could not download everything that libtorch 2.14.1',
    );
    await installLibtorch(options);
    expect(bringTorch).toHaveBeenCalledTimes(1);
  });

  it('says why pip downloaded nothing', async () => {
    bringTorch.mockResolvedValueOnce({ wheel: null, reason: 'no such version' });
    await expect(installLibtorch(machine())).rejects.toThrow(
      /is available only through pip.*no such version/s,
    );
  });

  it('takes a folder with all of its wheels, and no less', async () => {
    const given = path.join(folder, 'wheels');
    writeFiles(given, { [TORCH]: torch });
    await expect(installLibtorch(machine({ fromFile: given }))).rejects.toThrow(`lacks ${CUBLAS}`);
    await expect(installLibtorch(machine({ fromFile: path.join(given, TORCH) }))).rejects.toThrow(
      'alone is not enough',
    );
    writeFiles(given, { [CUBLAS]: cublas });
    await expect(installLibtorch(machine({ fromFile: given }))).resolves.toMatchObject({ variant: 'cu130' });
    writeFiles(given, { [CUBLAS]: 'other' });
    await expect(installLibtorch(machine({ fromFile: given }))).rejects.toThrow('is not the expected file');
    expect(readdirSync(given).sort()).toEqual([CUBLAS, TORCH]);
    expect(bringTorch).not.toHaveBeenCalled();
  });
});
