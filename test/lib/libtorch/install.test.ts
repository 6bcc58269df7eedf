import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import path from 'node:path';
import { installLibtorch, type InstallOptions } from '../../../lib/libtorch/install';
import { locateLibtorch } from '../../../lib/libtorch/locate';
import {
  type FakeHost,
  fakeHost,
  fakeManifest,
  serve,
  temporaryFolder,
  wheelFiles,
  writeFiles,
  zip,
} from './support';

const folder = temporaryFolder();
const wheel = zip(wheelFiles);
const noPip = jest.fn(() => Promise.resolve({ wheel: null, reason: 'there is no pip' } as const));

let listener: RequestListener;
let base: string;
let close: () => void;
let homes = 0;

beforeAll(async () => {
  const served = await serve((request, response) => {
    listener(request, response);
  });
  base = served.url;
  close = () => {
    served.server.closeAllConnections();
    served.server.close();
  };
});
afterAll(() => {
  close();
});
beforeEach(() => {
  noPip.mockClear();
  listener = (_request, response) => response.end(wheel);
});

/** Options for a machine with an empty cache, where only the local server has the wheel. */
function machine(more: Partial<Omit<InstallOptions, 'host'>> = {}): InstallOptions & { host: FakeHost } {
  const host = fakeHost(path.join(folder, `home-${++homes}`));
  return { host, manifest: fakeManifest(`${base}/torch%2Bcpu.whl`, wheel), pip: noPip, ...more };
}

function cacheOf(host: FakeHost, ...parts: string[]): string {
  return path.join(host.home, '.cache', 'tokenlearner', ...parts);
}

describe('installLibtorch', () => {
  it('fetches, checks and unpacks, and then is found', async () => {
    const options = machine();
    const found = await installLibtorch(options);
    const root = cacheOf(options.host, 'libtorch', '2.13.0-cpu');
    expect(found).toMatchObject({ root, libDir: path.join(root, 'lib'), version: '2.13.0', variant: 'cpu' });
    expect(locateLibtorch({ host: options.host })).toMatchObject({ source: 'cache', root });
    expect(readdirSync(cacheOf(options.host, 'libtorch'))).toEqual(['2.13.0-cpu']);
    expect(readdirSync(cacheOf(options.host, 'downloads'))).toEqual([]);
  });

  it('does nothing when it is there', async () => {
    const options = machine();
    await installLibtorch(options);
    listener = () => {
      throw new Error('asked again');
    };
    noPip.mockClear();
    await installLibtorch(options);
    expect(noPip).not.toHaveBeenCalled();
  });

  it('installs again over a damaged or incomplete one', async () => {
    const options = machine();
    const { root } = await installLibtorch(options);
    writeFileSync(path.join(root, 'lib', 'libtorch_cpu.so'), 'cut');
    await installLibtorch(options);
    expect(readFileSync(path.join(root, 'lib', 'libtorch_cpu.so'), 'utf8')).toBe('cpu'.repeat(1000));
    writeFileSync(path.join(root, 'runtime.json'), '{');
    expect(await installLibtorch(options)).toMatchObject({ root });
  });

  it('leaves no folder behind when the file is corrupt', async () => {
    listener = (_request, response) => response.end(Buffer.alloc(wheel.length));
    const options = machine();
    await expect(installLibtorch(options)).rejects.toThrow('is not the expected file and was deleted');
    expect(readdirSync(cacheOf(options.host, 'libtorch'))).toEqual([]);
    expect(readdirSync(cacheOf(options.host, 'downloads', '2.13.0-cpu'))).toEqual([]);
  });

  it('says what was tried and what helps if no source has the file', async () => {
    listener = (_request, response) => response.writeHead(404).end();
    const failed = installLibtorch(machine());
    await expect(failed).rejects.toMatchObject({ name: 'TokenLearnerError', code: 'ERR_LIBTORCH_INSTALL' });
    await expect(failed).rejects.toThrow(
      /pip: there is no pip.*download: .* responded with 404.*HTTPS_PROXY/s,
    );
  });

  it("wraps the system's errors, and keeps them as the cause", async () => {
    const cause = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    const failed = installLibtorch(machine({ pip: () => Promise.reject(cause) }));
    await expect(failed).rejects.toMatchObject({ code: 'ERR_LIBTORCH_INSTALL', cause });
    await expect(failed).rejects.toThrow('Installing libtorch failed: ENOSPC: no space left on device');
  });

  it('leaves no folder behind when the file is another libtorch', async () => {
    const other = zip({ ...wheelFiles, 'torch/version.py': "__version__ = '2.13.0+cu130'" });
    listener = (_request, response) => response.end(other);
    const options = machine({ manifest: fakeManifest(`${base}/other.whl`, other) });
    await expect(installLibtorch(options)).rejects.toThrow(
      'holds libtorch 2.13.0 (cu130), expected 2.13.0 (cpu)',
    );
    expect(readdirSync(cacheOf(options.host, 'libtorch'))).toEqual([]);
  });

  it('removes what an install that was killed left', async () => {
    const options = machine();
    const leftover = cacheOf(options.host, 'libtorch', '2.13.0-cpu~5f0c9a3e-1b2d-4c3e-8f4a-0123456789ab');
    writeFiles(leftover, { 'lib/libtorch_cpu.so': 'half' });
    await installLibtorch(options);
    expect(existsSync(leftover)).toBe(false);
  });

  it('fetches once when several install at the same time', async () => {
    let fetched = 0;
    listener = (_request, response) => {
      fetched++;
      setTimeout(() => response.end(wheel), 20);
    };
    const options = machine();
    const found = await Promise.all([1, 2, 3].map(() => installLibtorch(options)));
    expect(fetched).toBe(1);
    expect(new Set(found.map(({ root }) => root)).size).toBe(1);
  });

  it('takes a wheel from pip when it is the pinned one', async () => {
    const options = machine();
    const log = jest.fn();
    const byPip = (name: string, content: Buffer) => (_source: unknown, target: string) => {
      writeFiles(target, { [name]: content });
      return Promise.resolve({ wheel: path.join(target, name), reason: null } as const);
    };
    listener = () => {
      throw new Error('not needed');
    };
    await installLibtorch({ ...options, pip: byPip('torch+cpu.whl', wheel), log });
    expect(log).not.toHaveBeenCalledWith(expect.stringContaining('No hash'));
    await installLibtorch({ ...machine(), pip: byPip('torch-for-another-python.whl', wheel), log });
    expect(log).toHaveBeenCalledWith(
      expect.stringContaining('No hash of torch-for-another-python.whl is pinned'),
    );
  });

  it("refuses pip's wheel when it only has the pinned one's name, and downloads instead", async () => {
    const log = jest.fn();
    const pip = (_source: unknown, target: string) => {
      writeFiles(target, { 'torch+cpu.whl': Buffer.alloc(10) });
      return Promise.resolve({ wheel: path.join(target, 'torch+cpu.whl'), reason: null } as const);
    };
    await expect(installLibtorch(machine({ pip, log }))).resolves.toMatchObject({ version: '2.13.0' });
    expect(log).toHaveBeenCalledWith(expect.stringContaining('another sha256 than the pinned one'));
  });

  it('leaves a platform without a known hash to pip, and says so', async () => {
    const options = machine({ manifest: fakeManifest(base, null) });
    await expect(installLibtorch(options)).rejects.toThrow(
      /is available only through pip, since no hash of it is known.*there is no pip/s,
    );
    expect(noPip).toHaveBeenCalledWith(expect.anything(), expect.anything(), true);
  });

  it('unpacks a file that is given, if it is the right one', async () => {
    const given = path.join(folder, 'given.whl');
    writeFileSync(given, wheel);
    await expect(installLibtorch(machine({ fromFile: given }))).resolves.toMatchObject({ version: '2.13.0' });
    expect(existsSync(given)).toBe(true);
    const fake = path.join(folder, 'torch+cpu.whl');
    writeFileSync(fake, zip({ ...wheelFiles, 'torch/lib/libc10.so': 'evil' }));
    await expect(installLibtorch(machine({ fromFile: fake }))).rejects.toThrow('is not the expected file');
    await expect(installLibtorch(machine({ fromFile: `${given}.not` }))).rejects.toThrow('No such file');
  });

  it('says that a file which is given is not installed over the same version', async () => {
    const given = path.join(folder, 'again.whl');
    writeFileSync(given, wheel);
    const lines: string[] = [];
    const options = machine({ log: (line) => lines.push(line) });
    const { root } = await installLibtorch(options);
    lines.length = 0;
    await expect(installLibtorch({ ...options, fromFile: given })).resolves.toMatchObject({ root });
    expect(lines).toEqual([
      `libtorch 2.13.0 (cpu) is already installed in ${root}; remove it first to install ${given}`,
    ]);
    await expect(installLibtorch({ ...options, fromFile: `${given}.not` })).rejects.toThrow('No such file');
  });

  it('asks the mirror that the environment names', async () => {
    const asked: (string | undefined)[] = [];
    listener = (request, response) => {
      asked.push(request.url);
      response.end(wheel);
    };
    const options = machine({
      manifest: fakeManifest('https://unreachable.invalid/whl/cpu/torch.whl', wheel),
    });
    options.host.env = { TOKENLEARNER_LIBTORCH_MIRROR: `${base}/mirror/` };
    await installLibtorch(options);
    expect(asked).toEqual(['/mirror/whl/cpu/torch.whl']);
    const wrong = machine({ manifest: fakeManifest('https://unreachable.invalid/whl/cpu/torch.whl', wheel) });
    wrong.host.env = { TOKENLEARNER_LIBTORCH_MIRROR: 'mirror.invalid/pytorch' };
    await expect(installLibtorch(wrong)).rejects.toThrow('TOKENLEARNER_LIBTORCH_MIRROR is no URL');
  });

  it('refuses to start without the space it needs', async () => {
    const options = machine();
    const entry = options.manifest?.variants.cpu?.['linux-x64'];
    if (entry === undefined) throw new Error('no entry');
    entry.unpackedSize = Number.MAX_SAFE_INTEGER;
    await expect(installLibtorch(options)).rejects.toThrow(/needs \d+ MB in .*Set TOKENLEARNER_CACHE/s);
  });
});

describe('installLibtorch with a folder of its own', () => {
  it('installs there, and replaces what was installed there', async () => {
    const own = path.join(folder, 'own');
    expect(await installLibtorch(machine({ folder: own }))).toMatchObject({ root: own });
    writeFileSync(path.join(own, 'lib', 'libc10.so'), 'damaged');
    await installLibtorch(machine({ folder: own }));
    expect(readFileSync(path.join(own, 'lib', 'libc10.so'), 'utf8')).toBe('c10');
  });

  it('waits for an install into another folder that downloads to the same place', async () => {
    const options = machine();
    let open = 0;
    let most = 0;
    const pip = async (_source: unknown, target: string) => {
      most = Math.max(most, ++open);
      writeFiles(target, { 'torch+cpu.whl': wheel });
      await new Promise((resolve) => setTimeout(resolve, 20));
      open--;
      return { wheel: path.join(target, 'torch+cpu.whl'), reason: null } as const;
    };
    const log = jest.fn();
    const folders = ['one', 'two'].map((name) => path.join(folder, name));
    const found = await Promise.all(
      folders.map((own) => installLibtorch({ ...options, pip, log, folder: own })),
    );
    expect(found.map(({ root }) => root)).toEqual(folders);
    expect(most).toBe(1);
    expect(log).toHaveBeenCalledWith(expect.stringContaining('Another process is downloading'));
    expect(readdirSync(cacheOf(options.host, 'downloads'))).toEqual([]);
  });

  it('never deletes what it did not install', async () => {
    const precious = path.join(folder, 'precious');
    writeFiles(precious, { 'thesis.txt': 'words' });
    await expect(installLibtorch(machine({ folder: precious }))).rejects.toThrow(
      'neither empty nor a libtorch',
    );
    const file = path.join(precious, 'thesis.txt');
    await expect(installLibtorch(machine({ folder: file }))).rejects.toThrow('cannot be used');
    expect(readFileSync(file, 'utf8')).toBe('words');
  });
});
