import { spawn } from 'node:child_process';
import fsPromises, {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
  type FileHandle,
} from 'node:fs/promises';
import { devNull, tmpdir } from 'node:os';
import { join } from 'node:path';

import { TokenLearnerError } from '../../../lib/errors';
import { writeFileAtomic } from '../../../lib/formats/file-write';
import { expectReject, makePipe, testPipes } from './support';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tokenlearner-file-write-'));
});
afterEach(async () => {
  jest.restoreAllMocks();
  await rm(folder, { recursive: true });
});

const content = { byteLength: 3, chunks: () => [Uint8Array.of(1, 2), new Uint8Array(0), Uint8Array.of(3)] };

describe('writeFileAtomic', () => {
  test('writes the chunks and leaves nothing else', async () => {
    await writeFileAtomic(join(folder, 'a'), content);
    expect([...(await readFile(join(folder, 'a')))]).toEqual([1, 2, 3]);
    expect(await readdir(folder)).toEqual(['a']);
  });

  test.each<[string, () => Iterable<Uint8Array>, string]>([
    [
      'an error half-way',
      function* () {
        yield Uint8Array.of(1);
        throw new Error('half-way');
      },
      'half-way',
    ],
    ['less content than it says', () => [Uint8Array.of(1)], '1 bytes were written instead of 3'],
    ['more content than it says', () => [new Uint8Array(4)], '4 bytes were written instead of 3'],
  ])('%s leaves the old file and nothing else', async (_, chunks, message) => {
    const path = join(folder, 'a');
    await writeFile(path, 'old');
    const writing = writeFileAtomic(path, { byteLength: 3, chunks });
    await expectReject(writing, 'ERR_FILE_IO', `${path}: cannot be written: ${message}`);
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(folder)).toEqual(['a']);
  });

  test('a write that the system cuts short is gone on with', async () => {
    const path = join(folder, 'a');
    const probe = await open(path, 'w');
    const prototype = Object.getPrototypeOf(probe) as FileHandle;
    await probe.close();
    const write = Reflect.get(prototype, 'write') as (...args: unknown[]) => Promise<never>;
    const spy = jest.spyOn(prototype, 'write').mockImplementation(function (
      this: FileHandle,
      ...args: unknown[]
    ) {
      const [buffer, offset] = args;
      return write.call(this, buffer, offset, 1);
    });
    await writeFileAtomic(path, content);
    expect(spy).toHaveBeenCalledTimes(3);
    expect([...(await readFile(path))]).toEqual([1, 2, 3]);
    spy.mockResolvedValue({ bytesWritten: 0 } as never);
    await expectReject(writeFileAtomic(path, content), 'ERR_FILE_IO', 'accepts no more bytes');
    expect([...(await readFile(path))]).toEqual([1, 2, 3]);
  });

  test('keeps the mode of the file that it replaces', async () => {
    const path = join(folder, 'a');
    await writeFile(path, 'old');
    await chmod(path, 0o640);
    await writeFileAtomic(path, content);
    expect((await stat(path)).mode & 0o777).toBe(0o640);
  });

  test('follows a symbolic link', async () => {
    await mkdir(join(folder, 'real'));
    await writeFile(join(folder, 'real', 'a'), 'old');
    await symlink(join('real', 'a'), join(folder, 'link'));
    await writeFileAtomic(join(folder, 'link'), content);
    expect((await lstat(join(folder, 'link'))).isSymbolicLink()).toBe(true);
    expect([...(await readFile(join(folder, 'real', 'a')))]).toEqual([1, 2, 3]);
    expect(await readdir(join(folder, 'real'))).toEqual(['a']);
  });

  test('writes the target of a dangling symbolic link, through others', async () => {
    await mkdir(join(folder, 'real'));
    await symlink(join('real', 'b'), join(folder, 'first'));
    await symlink(join('..', 'c'), join(folder, 'real', 'b'));
    await writeFileAtomic(join(folder, 'first'), content);
    expect((await lstat(join(folder, 'first'))).isSymbolicLink()).toBe(true);
    expect((await lstat(join(folder, 'real', 'b'))).isSymbolicLink()).toBe(true);
    expect((await lstat(join(folder, 'c'))).isFile()).toBe(true);
    expect([...(await readFile(join(folder, 'first')))]).toEqual([1, 2, 3]);
  });

  test('a relative link is resolved by the system, not by its text', async () => {
    await mkdir(join(folder, 'deep', 'down'), { recursive: true });
    await symlink(join('deep', 'down'), join(folder, 'short'));
    await symlink(['short', '..', 'a'].join('/'), join(folder, 'link'));
    await writeFileAtomic(join(folder, 'link'), content);
    expect([...(await readFile(join(folder, 'deep', 'a')))]).toEqual([1, 2, 3]);
    expect((await readdir(folder)).sort()).toEqual(['deep', 'link', 'short']);
  });

  test('a circle of links is an error', async () => {
    await symlink('b', join(folder, 'a'));
    await symlink('a', join(folder, 'b'));
    await expectReject(writeFileAtomic(join(folder, 'a'), content), 'ERR_FILE_IO', /symbolic links|ELOOP/);
  });

  test('writes straight to a device', async () => {
    await writeFileAtomic(devNull, content);
    expect((await stat(devNull)).isFile()).toBe(false);
  });

  testPipes('a named pipe without a reader is refused, not waited for', async () => {
    const path = makePipe(join(folder, 'pipe'));
    const error = await expectReject(
      writeFileAtomic(path, content),
      'ERR_FILE_IO',
      'no process has this pipe',
    );
    expect(error.cause).toMatchObject({ code: 'ENXIO' });
  });

  testPipes('a named pipe with a slow reader gets everything', async () => {
    const path = makePipe(join(folder, 'pipe'));
    // Open for reading and writing: neither the reader nor this process waits for the other.
    const script = 'exec 3<>"$1"; echo ready; sleep 0.3; head -c 3000000 <&3';
    const reader = spawn('sh', ['-c', script, 'sh', path], { stdio: ['ignore', 'pipe', 'inherit'] });
    const output: Buffer[] = [];
    const ready = new Promise((resolve) => reader.stdout.once('data', resolve));
    reader.stdout.on('data', (part: Buffer) => output.push(part));
    const ended = new Promise((resolve) => reader.on('close', resolve));
    await ready;
    const bytes = Uint8Array.from({ length: 3_000_000 }, (_, i) => i % 251);
    await writeFileAtomic(path, { byteLength: bytes.length, chunks: () => [bytes] });
    await ended;
    expect(Buffer.concat(output).subarray('ready\n'.length).equals(bytes)).toBe(true);
  });

  test('a missing folder keeps the cause', async () => {
    const path = join(folder, 'none', 'a');
    const error = await expectReject(writeFileAtomic(path, content), 'ERR_FILE_IO', path);
    expect(error.cause).toMatchObject({ code: 'ENOENT' });
  });

  test('a folder cannot be written', async () => {
    await expectReject(
      writeFileAtomic(folder, content),
      'ERR_FILE_IO',
      `${folder}: cannot be written: EISDIR`,
    );
  });
});

describe('writeFileAtomic where a file cannot be replaced', () => {
  const failing = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }));

  test.each(['EBUSY', 'EACCES', 'EPERM', 'EXDEV'])('%s of the name: it is overwritten', async (code) => {
    jest.spyOn(fsPromises, 'rename').mockImplementation(failing(code));
    const path = join(folder, 'a');
    await writeFile(path, 'old and longer');
    const { ino } = await stat(path);
    await writeFileAtomic(path, content);
    expect([...(await readFile(path))]).toEqual([1, 2, 3]);
    expect((await stat(path)).ino).toBe(ino);
    expect(await readdir(folder)).toEqual(['a']);
  });

  test('other errors of the name leave the old file', async () => {
    jest.spyOn(fsPromises, 'rename').mockImplementation(failing('EIO'));
    const path = join(folder, 'a');
    await writeFile(path, 'old');
    await expectReject(writeFileAtomic(path, content), 'ERR_FILE_IO', 'EIO');
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(folder)).toEqual(['a']);
  });

  const stagedNames = async () =>
    (await readdir(tmpdir())).filter((name) => name.startsWith('.tokenlearner-'));

  /** No file can be made in a folder of that name, or of any. */
  function forbid(code: string, within = ''): void {
    const original = fsPromises.open;
    jest
      .spyOn(fsPromises, 'open')
      .mockImplementation((name, flags, mode) =>
        flags === 'wx+' && String(name).startsWith(within) ? failing(code)() : original(name, flags, mode),
      );
  }

  test.each(['EACCES', 'EPERM', 'EROFS'])('%s of the folder: it is overwritten', async (code) => {
    const path = join(folder, 'a');
    const before = await stagedNames();
    for (const within of [folder, '']) {
      await writeFile(path, 'old and longer');
      forbid(code, within);
      await writeFileAtomic(path, content);
      expect([...(await readFile(path))]).toEqual([1, 2, 3]);
      jest.restoreAllMocks();
    }
    expect(await readdir(folder)).toEqual(['a']);
    expect(await stagedNames()).toEqual(before);
  });

  test.each([
    ['in the folder', () => folder],
    ['anywhere', () => ''],
  ])('no file can be made %s: a content that fails leaves the old file', async (_, within) => {
    const path = join(folder, 'a');
    await writeFile(path, 'old');
    const before = await stagedNames();
    forbid('EACCES', within());
    function* chunks(): Generator<Uint8Array> {
      yield Uint8Array.of(1);
      throw new TokenLearnerError('ERR_DETACHED', 'gone');
    }
    await expectReject(writeFileAtomic(path, { byteLength: 3, chunks }), 'ERR_DETACHED', 'gone');
    const short = { byteLength: 3, chunks: () => [Uint8Array.of(1)] };
    await expectReject(writeFileAtomic(path, short), 'ERR_FILE_IO', '1 bytes were written instead of 3');
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await stagedNames()).toEqual(before);
  });

  test('a writable file in a read-only folder', async () => {
    const path = join(folder, 'a');
    await writeFile(path, 'old');
    await chmod(path, 0o666);
    await chmod(folder, 0o555);
    // Root may write everywhere.
    const user = process.geteuid?.();
    if (user === 0) process.seteuid?.(65534);
    try {
      await writeFileAtomic(path, content);
      await expectReject(writeFileAtomic(join(folder, 'b'), content), 'ERR_FILE_IO', 'EACCES');
    } finally {
      if (user === 0) process.seteuid?.(0);
      await chmod(folder, 0o755);
    }
    expect([...(await readFile(path))]).toEqual([1, 2, 3]);
  });

  test.each(['chmod', 'sync'] as const)('a file system without %s', async (method) => {
    const path = join(folder, 'a');
    await writeFile(path, 'old');
    const probe = await open(path);
    const prototype = Object.getPrototypeOf(probe) as FileHandle;
    await probe.close();
    jest.spyOn(prototype, method).mockImplementation(failing('EPERM'));
    await writeFileAtomic(path, content);
    expect([...(await readFile(path))]).toEqual([1, 2, 3]);
  });
});
