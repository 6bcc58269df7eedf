import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { destination, siteDestination, unpackLibtorch } from '../../../lib/libtorch/unpack';
import { temporaryFolder, wheelFiles, zip } from './support';

const folder = temporaryFolder();

function archive(name: string, content: Buffer): string {
  const file = path.join(folder, name);
  writeFileSync(file, content);
  return file;
}

describe('destination', () => {
  it.each([
    ['torch/lib/libtorch_cpu.so', 'lib/libtorch_cpu.so'],
    ['torch/lib/libgomp.so.1', 'lib/libgomp.so.1'],
    ['libtorch/lib/libtorch_cpu.dylib', 'lib/libtorch_cpu.dylib'],
    ['libtorch/lib/c10.dll', 'lib/c10.dll'],
    ['torch/include/torch/headeronly/version.h', 'include/torch/headeronly/version.h'],
    ['libtorch/build-version', 'build-version'],
    ['torch/version.py', 'version.py'],
    ['torch-2.13.0+cpu.dist-info/licenses/third_party/fmt/LICENSE', 'licenses/third_party/fmt/LICENSE'],
  ])('keeps %s', (entry, expected) => {
    expect(destination(entry)).toBe(expected);
  });

  it.each([
    'torch/lib/libtorch_python.so',
    'torch/lib/libjitbackend_test.so',
    'torch/lib/libshm/err.h',
    'torch/lib/torch.lib',
    'torch/include/ATen/ATen.h',
    'torch/include/torch/csrc/api/include/torch/torch.h',
    'torch/__init__.py',
    'torch/lib/',
    'torch/include/torch/csrc/stable/',
    'elsewhere/lib/libc10.so',
  ])('leaves out %s', (entry) => {
    expect(destination(entry)).toBeNull();
  });
});

describe('unpackLibtorch', () => {
  it('writes what is needed and lists it with its sizes', async () => {
    const target = path.join(folder, 'good');
    const onProgress = jest.fn();
    const files = await unpackLibtorch(archive('good.whl', zip(wheelFiles)), target, onProgress);
    expect(files).toEqual({
      'version.py': 27,
      'lib/libtorch_cpu.so': 3000,
      'lib/libc10.so': 3,
      'lib/libgomp.so.1': 4,
      'include/torch/csrc/stable/tensor.h': 9,
      'licenses/LICENSE': 7,
    });
    expect(readFileSync(path.join(target, 'lib/libtorch_cpu.so'), 'utf8')).toBe('cpu'.repeat(1000));
    expect(statSync(path.join(target, 'lib/libc10.so')).mode & 0o111).not.toBe(0);
    expect(existsSync(path.join(target, 'lib/libtorch_python.so'))).toBe(false);
    expect(onProgress).toHaveBeenLastCalledWith({ phase: 'unpack', done: 3050, total: 3050 });
  });

  it.each([
    ['is not a zip file', Buffer.from('<html>Not found</html>')],
    ['was cut off', zip(wheelFiles).subarray(0, 400)],
    ['holds no libtorch', zip({ 'readme.txt': 'hello' })],
  ])('refuses a file that %s', async (name, content) => {
    const file = archive(`${name}.whl`, content);
    await expect(unpackLibtorch(file, path.join(folder, name))).rejects.toThrow(`Unpacking ${file} failed`);
  });

  it('refuses a file whose content does not have its checksum', async () => {
    const content = zip({ 'torch/lib/libc10.so': 'c10' });
    // The checksum in the central directory, 16 bytes into its one entry.
    const at = content.indexOf('PK\x01\x02') + 16;
    content.writeUInt32LE(content.readUInt32LE(at) ^ 1, at);
    await expect(unpackLibtorch(archive('crc.whl', content), path.join(folder, 'crc'))).rejects.toThrow(
      'torch/lib/libc10.so is damaged',
    );
  });

  it('writes nothing outside its folder', async () => {
    const file = archive(
      'evil.whl',
      zip({ ...wheelFiles, 'torch/include/torch/headeronly/../../../../../../evil.h': 'evil' }),
    );
    await expect(unpackLibtorch(file, path.join(folder, 'evil'))).rejects.toThrow('invalid relative path');
    expect(existsSync(path.join(folder, '..', 'evil.h'))).toBe(false);
  });
});

describe('siteDestination', () => {
  it.each([
    ['torch/lib/libtorch_nvshmem.so', 'torch/lib/libtorch_nvshmem.so'],
    ['torch/version.py', 'torch/version.py'],
    ['torch/include/torch/csrc/stable/tensor.h', 'torch/include/torch/csrc/stable/tensor.h'],
    ['nvidia/cu13/lib/libcublas.so.13', 'nvidia/cu13/lib/libcublas.so.13'],
    ['nvidia_cublas-13.1.1.3.dist-info/licenses/License.txt', 'licenses/nvidia_cublas-13.1.1.3/License.txt'],
    ['nvidia_cudnn_cu13-9.24.dist-info/License.txt', 'licenses/nvidia_cudnn_cu13-9.24/License.txt'],
    ['torch-2.14.1.dist-info/licenses/third_party/a/LICENSE', 'licenses/torch-2.14.1/third_party/a/LICENSE'],
  ])('keeps %s', (entry, expected) => {
    expect(siteDestination(entry)).toBe(expected);
  });

  it.each([
    'torch/lib/libtorch_python.so',
    'torch/lib/libshm.so',
    'nvidia/cu13/include/cublas.h',
    'nvidia/cu13/lib/libnvptxcompiler_static.a',
    'nvidia/__init__.py',
    'nvidia_cublas-13.1.1.3.dist-info/METADATA',
    'nvidia/cu13/lib/',
    'libtorch/lib/libc10.so',
  ])('leaves out %s', (entry) => {
    expect(siteDestination(entry)).toBeNull();
  });
});
