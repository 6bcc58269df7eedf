import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { installLibtorch } from '../../../lib/libtorch/install';
import {
  demandPlace,
  demandReplaceable,
  foreignPart,
  isTemporaryName,
  temporaryName,
} from '../../../lib/libtorch/owned';
import {
  fakeHost,
  fakeManifest,
  installedRuntime,
  runtimeJson,
  temporaryFolder,
  wheelFiles,
  writeFiles,
  zip,
} from './support';

const folder = temporaryFolder();
const at = (...parts: string[]): string => path.join(folder, ...parts);
writeFiles(folder, { 'given.whl': zip(wheelFiles) });

/** `runtime install --from-file given.whl --dir NAME` */
function install(name: string): ReturnType<typeof installLibtorch> {
  const host = fakeHost(at('home'));
  return installLibtorch({
    host,
    folder: at(name),
    fromFile: at('given.whl'),
    manifest: fakeManifest('unused', null),
  });
}

describe('a folder that holds a libtorch of ours and nothing else', () => {
  it('is replaced, also where files are damaged or missing', async () => {
    writeFiles(installedRuntime(at('ours')), { 'lib/libc10.so': 'damaged' });
    expect(await foreignPart(at('ours'))).toBeNull();
    await install('ours');
    expect(readFileSync(at('ours', 'lib', 'libc10.so'), 'utf8')).toBe('c10');
  });

  it('is what an install leaves, so that the next one may replace it', async () => {
    await install('twice');
    expect(await foreignPart(at('twice'))).toBeNull();
  });

  it('is replaced where a link leads, and the link stays', async () => {
    writeFiles(installedRuntime(at('target')), { 'lib/libc10.so': 'cut' });
    symlinkSync(at('target'), at('link'), 'dir');
    expect((await install('link')).root).toBe(at('target'));
    expect(readFileSync(at('link', 'lib', 'libc10.so'), 'utf8')).toBe('c10');
  });
});

describe('anything else is refused and stays as it was', () => {
  const files = { 'lib/libtorch_cpu.so': 0, 'lib/libc10.so': 0 };
  it.each<[string, Record<string, string>, RegExp]>([
    [
      'a file runtime.json of something else',
      { 'runtime.json': '{ "name": "my app" }' },
      /no valid runtime\.json/,
    ],
    ['a runtime.json that is not JSON', { 'runtime.json': 'text' }, /no valid runtime\.json/],
    ['a record without files', { 'runtime.json': runtimeJson('2.13.0') }, /does not list the files/],
    [
      'a record of no files',
      { 'runtime.json': runtimeJson('2.13.0', { files: {} }) },
      /does not list the files/,
    ],
    [
      'a record of other files',
      { 'runtime.json': runtimeJson('2.13.0', { files: { 'thesis.txt': 5 } }) },
      /does not list/,
    ],
    [
      'a record whose sizes are none',
      { 'runtime.json': runtimeJson('2.13.0', { files: { 'lib/libc10.so': 'x' } }) },
      /no valid/,
    ],
    ['a record whose version is none', { 'runtime.json': runtimeJson('newest', { files }) }, /no valid/],
    [
      'a runtime with a file beside',
      { 'runtime.json': runtimeJson('2.13.0', { files }), 'data/x': '' },
      /also holds data/,
    ],
  ])('%s', async (name, more, reason) => {
    const root = at(name);
    writeFiles(root, { 'thesis.txt': 'words', ...more });
    if (name.includes('beside')) writeFiles(root, { 'lib/libtorch_cpu.so': 'cut', 'lib/libc10.so': '' });
    const before = readdirSync(root, { recursive: true });
    await expect(install(name)).rejects.toThrow(reason);
    await expect(install(name)).rejects.toMatchObject({ code: 'ERR_LIBTORCH_INSTALL' });
    expect(readdirSync(root, { recursive: true })).toEqual(before);
  });

  it('an empty folder or a link within a runtime', async () => {
    const root = installedRuntime(at('with-folder'));
    mkdirSync(path.join(root, 'notes'));
    await expect(demandReplaceable(root)).rejects.toThrow('it also holds notes');
    const other = installedRuntime(at('with-link'));
    symlinkSync(folder, path.join(other, 'licenses'), 'dir');
    await expect(demandReplaceable(other)).rejects.toThrow('it also holds licenses');
  });
});

describe('siblings of the folder', () => {
  it('stay, unless their name is exactly one that an install gives', async () => {
    const siblings = ['image~', 'image~backup', 'image~1', `other~${'0'.repeat(8)}`];
    for (const name of siblings) writeFiles(at('siblings', name), { 'thesis.txt': 'words' });
    const leftover = temporaryName(at('siblings', 'image'));
    writeFiles(leftover, { 'lib/libtorch_cpu.so': 'half' });
    await install(path.join('siblings', 'image'));
    expect(readdirSync(at('siblings')).sort()).toEqual(['image', ...siblings].sort());
  });

  it('stay where the folder itself is refused', async () => {
    const leftover = temporaryName(at('refused', 'image'));
    writeFiles(at('refused'), { 'image/thesis.txt': 'words' });
    writeFiles(leftover, { 'lib/libtorch_cpu.so': 'half' });
    await expect(install(path.join('refused', 'image'))).rejects.toThrow('neither empty nor a libtorch');
    expect(existsSync(leftover)).toBe(true);
  });

  it('a temporary name is one of its own folder', () => {
    const name = path.basename(temporaryName('image'));
    expect(isTemporaryName(name, '/a/image')).toBe(true);
    expect(isTemporaryName(name, '/a/imag')).toBe(false);
    expect(isTemporaryName(`${name}0`, '/a/image')).toBe(false);
  });
});

describe('a folder that cannot be replaced as a whole is refused before anything is downloaded', () => {
  const refused = async (root: string, text: string): Promise<void> => {
    await expect(demandPlace(root)).rejects.toMatchObject({
      code: 'ERR_LIBTORCH_INSTALL',
      message: expect.stringContaining(text) as string,
    });
  };

  it('the working directory, and what is above it', async () => {
    await refused(process.cwd(), 'is the working directory');
    await refused(path.dirname(process.cwd()), path.join(path.dirname(process.cwd()), 'runtime'));
    await expect(demandPlace(path.join(process.cwd(), '..no such folder'))).resolves.toBeUndefined();
  });

  const hasMount = existsSync('/dev/shm') && statSync('/dev/shm').dev !== statSync('/dev').dev;
  (hasMount ? it : it.skip)('a mounted disk', async () => {
    await refused('/dev/shm', 'is a mounted disk');
  });

  it('one in a folder that cannot be written', async () => {
    mkdirSync(at('closed'), { mode: 0o555 });
    if (process.getuid?.() === 0) return;
    await refused(at('closed', 'runtime'), 'cannot be written');
  });
});
