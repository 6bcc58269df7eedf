/** Fake libtorch folders, zip files and an HTTP server for the tests of lib/libtorch. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import type { Host } from '../../../lib/libtorch/cache';
import type { Manifest } from '../../../lib/libtorch/manifest';

/** A new folder for one test file; removed after its tests. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-test-'));
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** A host whose user has a home. */
export type FakeHost = Host & { home: string };

/** A Linux host with nothing set, whose home is `home`. */
export function fakeHost(home: string, env: Record<string, string> = {}): FakeHost {
  return { env, platform: 'linux', arch: 'x64', home };
}

/** Writes files, given by relative path, under a folder. */
export function writeFiles(folder: string, files: Record<string, string | Buffer>): void {
  for (const [name, content] of Object.entries(files)) {
    const target = path.join(folder, name);
    // Whatever the umask: what others can write is refused.
    mkdirSync(path.dirname(target), { recursive: true, mode: 0o755 });
    writeFileSync(target, content, { mode: 0o644 });
  }
}

/** A libtorch root with empty libraries and what else is given. */
export function fakeLibtorch(folder: string, more: Record<string, string> = {}): string {
  writeFiles(folder, { 'lib/libtorch_cpu.so': '', 'lib/libc10.so': '', ...more });
  return folder;
}

/** The text of a runtime.json. */
export function runtimeJson(version: string, more: Record<string, unknown> = {}): string {
  return JSON.stringify({ version, variant: 'cpu', platform: 'linux', arch: 'x64', ...more });
}

/** The content of a small stand-in for the wheel of libtorch 2.13.0. */
export const wheelFiles: Record<string, string> = {
  'torch/version.py': "__version__ = '2.13.0+cpu'\n",
  'torch/lib/libtorch_cpu.so': 'cpu'.repeat(1000),
  'torch/lib/libc10.so': 'c10',
  'torch/lib/libgomp.so.1': 'gomp',
  'torch/lib/libtorch_python.so': 'not needed',
  'torch/include/torch/csrc/stable/tensor.h': '// tensor',
  'torch/include/ATen/ATen.h': 'not needed',
  'torch/nn/functional.py': 'not needed',
  'torch-2.13.0+cpu.dist-info/licenses/LICENSE': 'licence',
};

/** A zip file of these files, deflated. */
export function zip(files: Record<string, string>): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [name, text] of Object.entries(files)) {
    const data = deflateRawSync(text);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(8, 4);
    fields.writeUInt32LE(crc32(text), 10);
    fields.writeUInt32LE(data.length, 14);
    fields.writeUInt32LE(Buffer.byteLength(text), 18);
    fields.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), data]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    central.push(
      Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 0]), fields, tail, Buffer.from(name)]),
    );
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(central.length, 4);
  end.writeUInt16LE(central.length, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...locals, directory, Buffer.from('PK\x05\x06'), end]);
}

export function sha256(data: Buffer | string): string {
  return createHash('sha256').update(data).digest('hex');
}

/** A folder that `runtime install` filled, in small: a record with its files, and whatever else is given. */
export function installedRuntime(folder: string, more: Record<string, string> = {}): string {
  const files = { 'lib/libtorch_cpu.so': 0, 'lib/libc10.so': 0 };
  return fakeLibtorch(folder, { 'runtime.json': runtimeJson('2.13.0', { files }), ...more });
}

/** A manifest whose one archive, for linux-x64, is `content` at `url`; null leaves it to pip. */
export function fakeManifest(url: string, content: Buffer | null): Manifest {
  const archive = content && { url, size: content.length, sha256: sha256(content) };
  const pip = { requirement: 'torch==2.13.0+cpu', platforms: ['manylinux_2_28_x86_64'], index: 'unused' };
  return {
    version: '2.13.0',
    variants: { cpu: { 'linux-x64': { pip, archive, unpackedSize: 10_000 } } },
  };
}

/** Starts a server on a free port of this machine. */
export async function serve(listener: RequestListener): Promise<{ url: string; server: Server }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}
