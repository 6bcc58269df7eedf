import { spawnSync } from 'node:child_process';
import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { makeFolders } from '../../lib/folders';
import { temporaryFolder } from './libtorch/support';

const DIST = path.resolve(__dirname, '..', '..', 'dist', 'folders.js');
const folder = temporaryFolder();
const at = (...names: string[]): string => path.join(folder, ...names);

it('makes a folder and those above it, several callers at once too, and leaves what is there', async () => {
  await Promise.all([1, 2, 3].map((i) => makeFolders(at('a', 'b', 'c', String(i)), 0o700)));
  expect(statSync(at('a', 'b')).mode & 0o777).toBe(process.platform === 'win32' ? 0o666 : 0o700);
  symlinkSync(at('a'), at('link'));
  for (const there of [at('a'), at('link'), '.', path.parse(folder).root]) await makeFolders(there);
});

it('fails where a file is in the way', async () => {
  mkdirSync(at('files'));
  writeFileSync(at('files', 'x'), '');
  await expect(makeFolders(at('files', 'x'))).rejects.toMatchObject({ code: 'EEXIST' });
  await expect(makeFolders(at('files', 'x', 'y', 'z'))).rejects.toMatchObject({ code: 'ENOTDIR' });
});

const onLinux = process.platform === 'linux' ? it : it.skip;
onLinux('fails where the parent is there and the system knows no folder', () => {
  const code = `require(${JSON.stringify(DIST)}).makeFolders('/proc/none/x').catch(({ code }) => console.log(code));`;
  const { stdout } = spawnSync(process.execPath, ['--eval', code], {
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });
  expect(String(stdout)).toBe('ENOENT\n');
});
