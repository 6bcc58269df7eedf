import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { devNull, tmpdir } from 'node:os';
import { join } from 'node:path';

import { checkBytes, checkPath, readBytes, writeFileAtomic } from '../../../lib/formats/file-io';
import { expectReject, expectThrow } from './support';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tokenlearner-file-io-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const chunks = [Uint8Array.of(1, 2), new Uint8Array(0), Uint8Array.of(3)];

test.each([undefined, null, 1, {}, new Uint8Array(1)])('the path %p is refused', (path) => {
  expectThrow(
    () => {
      checkPath(path);
    },
    'ERR_INVALID_ARG_TYPE',
    /Expected a string for `path`/,
  );
});

test.each(['', 'a\0b'])('the path %j is refused', (path) => {
  expectThrow(
    () => {
      checkPath(path);
    },
    'ERR_INVALID_ARG_VALUE',
    /`path`/,
  );
});

describe('checkBytes', () => {
  test('unshared memory is taken as it is', () => {
    const bytes = Uint8Array.of(1, 2);
    expect(checkBytes(bytes)).toBe(bytes);
  });

  test('shared memory is copied', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(2));
    shared[0] = 1;
    const bytes = checkBytes(shared);
    shared[1] = 9;
    expect([...bytes]).toEqual([1, 0]);
  });

  test.each([undefined, null, 'x', new ArrayBuffer(1), new Uint16Array(1), [1]])('%p is refused', (bytes) => {
    expectThrow(() => checkBytes(bytes), 'ERR_INVALID_ARG_TYPE', /Expected a Uint8Array for `bytes`/);
  });
});

describe('readBytes', () => {
  test('gives memory of its own', async () => {
    const path = join(folder, 'a');
    await writeFile(path, 'abc');
    const bytes = await readBytes(path);
    expect([...bytes]).toEqual([97, 98, 99]);
    expect(bytes.buffer.byteLength).toBe(3);
  });

  test('an empty file', async () => {
    const path = join(folder, 'a');
    await writeFile(path, '');
    expect(await readBytes(path)).toHaveLength(0);
  });

  test('a missing file keeps the cause', async () => {
    const path = join(folder, 'none');
    const error = await expectReject(readBytes(path), 'ERR_FILE_FORMAT', `${path}: cannot be read: ENOENT`);
    expect(error.cause).toMatchObject({ code: 'ENOENT', path });
  });

  test.each(['a folder', 'a device'])('%s is refused', async (what) => {
    const path = what === 'a folder' ? folder : devNull;
    await expectReject(readBytes(path), 'ERR_FILE_FORMAT', `${path}: is not a regular file`);
  });
});

describe('writeFileAtomic', () => {
  test('writes the chunks and leaves nothing else', async () => {
    await writeFileAtomic(join(folder, 'a'), chunks);
    expect([...(await readFile(join(folder, 'a')))]).toEqual([1, 2, 3]);
    expect(await readdir(folder)).toEqual(['a']);
  });

  test('a failure half-way leaves the old file and nothing else', async () => {
    const path = join(folder, 'a');
    await writeFile(path, 'old');
    function* failing(): Generator<Uint8Array> {
      yield Uint8Array.of(1);
      throw new Error('half-way');
    }
    await expectReject(
      writeFileAtomic(path, failing()),
      'ERR_FILE_FORMAT',
      `${path}: cannot be written: half-way`,
    );
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(folder)).toEqual(['a']);
  });

  test('keeps the mode of the file that it replaces', async () => {
    const path = join(folder, 'a');
    await writeFile(path, 'old');
    await chmod(path, 0o640);
    await writeFileAtomic(path, chunks);
    expect((await stat(path)).mode & 0o777).toBe(0o640);
  });

  test('follows a symbolic link', async () => {
    await mkdir(join(folder, 'real'));
    await writeFile(join(folder, 'real', 'a'), 'old');
    await symlink(join('real', 'a'), join(folder, 'link'));
    await writeFileAtomic(join(folder, 'link'), chunks);
    expect((await lstat(join(folder, 'link'))).isSymbolicLink()).toBe(true);
    expect([...(await readFile(join(folder, 'real', 'a')))]).toEqual([1, 2, 3]);
    expect(await readdir(join(folder, 'real'))).toEqual(['a']);
  });

  test('writes straight to a device', async () => {
    await writeFileAtomic(devNull, chunks);
    expect((await stat(devNull)).isFile()).toBe(false);
  });

  test('a missing folder keeps the cause', async () => {
    const path = join(folder, 'none', 'a');
    const error = await expectReject(writeFileAtomic(path, chunks), 'ERR_FILE_FORMAT', path);
    expect(error.cause).toMatchObject({ code: 'ENOENT' });
  });

  test('a folder is no file to write', async () => {
    await expectReject(
      writeFileAtomic(folder, chunks),
      'ERR_FILE_FORMAT',
      `${folder}: cannot be written: EISDIR`,
    );
  });
});
