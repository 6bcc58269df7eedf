import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { devNull, tmpdir } from 'node:os';
import { join } from 'node:path';

import { checkBytes, checkPath, readFully, withFile } from '../../../lib/formats/file-io';
import { expectReject, expectThrow, makePipe, testPipes } from './support';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tokenlearner-file-io-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

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
  test('unshared memory is not copied', () => {
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

describe('withFile', () => {
  test('gives an open file and its size', async () => {
    const path = join(folder, 'a');
    await writeFile(path, 'abc');
    const target = new Uint8Array(2);
    await withFile(path, async (handle, size) => {
      expect(size).toBe(3);
      await readFully(handle, target, 1, path);
    });
    expect([...target]).toEqual([98, 99]);
  });

  test('reading beyond the end is an error', async () => {
    const path = join(folder, 'a');
    await writeFile(path, 'abc');
    const reading = withFile(path, (handle) => readFully(handle, new Uint8Array(4), 0, path));
    await expectReject(reading, 'ERR_FILE_FORMAT', `${path}: the file became shorter`);
  });

  test('a missing file keeps the cause', async () => {
    const path = join(folder, 'none');
    const reading = withFile(path, () => Promise.resolve());
    const error = await expectReject(reading, 'ERR_FILE_IO', `${path}: cannot be read: ENOENT`);
    expect(error.cause).toMatchObject({ code: 'ENOENT', path });
  });

  test('errors of the user pass through', async () => {
    const path = join(folder, 'a');
    await writeFile(path, 'abc');
    await expect(withFile(path, () => Promise.reject(new RangeError('mine')))).rejects.toThrow(RangeError);
  });

  test.each(['a folder', 'a device'])('%s is refused', async (what) => {
    const path = what === 'a folder' ? folder : devNull;
    const reading = withFile(path, () => Promise.resolve());
    await expectReject(reading, 'ERR_FILE_IO', `${path}: is not a regular file: it is`);
  });

  testPipes('a named pipe without a writer is refused, not waited for', async () => {
    const path = makePipe(join(folder, 'pipe'));
    const reading = withFile(path, () => Promise.resolve());
    await expectReject(reading, 'ERR_FILE_IO', `${path}: is not a regular file: it is a device or a pipe`);
  });
});
