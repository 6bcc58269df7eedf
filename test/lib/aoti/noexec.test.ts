import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isNoexec, isNoexecIn } from '../../../lib/aoti/mounts';
import { executableLibrary } from '../../../lib/aoti/noexec';
import { formatErrors } from '../../../lib/formats/format-error';
import { scratch } from './support';

const MOUNTS = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:25 / /home rw,nosuid,noexec,relatime shared:2 - ext4 /dev/sdb1 rw
31 30 0:26 / /home/exec\\040dir rw,relatime - ext4 /dev/sdc1 rw
32 22 0:27 / /srv rw,relatime - ext4 /dev/sdd1 rw
33 32 0:28 / /srv rw,noexec - tmpfs tmpfs rw
`;

test.each([
  ['/home/user/.cache', true],
  ['/home', true],
  ['/homes/user', false],
  ['/home/exec dir/cache', false],
  ['/var', false],
  ['/srv/x', true],
])('%s forbids running programs: %s', (folder, expected) => {
  expect(isNoexecIn(MOUNTS, folder)).toBe(expected);
});

test('a system without that list forbids nothing', () => {
  expect(isNoexecIn('', '/home')).toBe(false);
  expect(isNoexec('/')).toBe(false);
});

describe('executableLibrary', () => {
  const { folder } = scratch();
  const file = path.join(folder, 'x.so');
  const content = Buffer.alloc(200_000, 'library');
  beforeAll(() => {
    writeFileSync(file, content);
  });
  const fail = formatErrors('x.pt2');

  it('is the file itself where it can be loaded', async () => {
    const opened = await executableLibrary(
      file,
      () => ({}),
      fail,
      () => false,
    );
    expect(opened.path).toBe(file);
    opened.close();
  });

  it('is a copy in memory where it cannot', async () => {
    const memory = path.join(folder, 'memory');
    const memoryFile = () => openSync(memory, 'w+');
    const opened = await executableLibrary(
      file,
      () => ({ memoryFile }),
      fail,
      () => true,
    );
    const descriptor = Number(/^\/proc\/self\/fd[/.]+\/(\d+)$/.exec(opened.path)?.[1]);
    expect(readFileSync(memory).equals(content)).toBe(true);
    opened.close();
    opened.close();
    expect(() => {
      closeSync(descriptor);
    }).toThrow(/EBADF/);
  });

  it('is an error with the remedy where there is no such memory', async () => {
    await expect(
      executableLibrary(
        file,
        () => ({}),
        fail,
        () => true,
      ),
    ).rejects.toThrow(/noexec.*TOKENLEARNER_CACHE/);
  });
});
