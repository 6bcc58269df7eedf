/** The files that folders and patterns give. */
import fs, { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { inputFiles } from '../../../../lib/cli/offline/inputs';
import { expectReject } from '../../formats/support';
import { temporaryFolder } from '../../libtorch/support';

const folder = temporaryFolder();
const at = (...names: string[]): string => path.join(folder, ...names);

function write(...names: string[]): void {
  mkdirSync(at(...names.slice(0, -1)), { recursive: true });
  writeFileSync(at(...names), '');
}

const relatives = async (input: string, ...outputs: string[]): Promise<string[]> =>
  (await inputFiles([input], outputs)).files.map(({ relative }) => relative);

afterEach(() => {
  jest.restoreAllMocks();
});

describe('a folder that cannot be read', () => {
  /** The folders that are read. */
  let read: string[];
  beforeEach(() => {
    write('locks', 'a.npy');
    write('locks', 'sub', 'b.npy');
    write('locks', 'locked', 'c.npy');
    read = [];
    const { readdir } = fs.promises;
    jest.spyOn(fs.promises, 'readdir').mockImplementation(((name: string, options: object) => {
      read.push(path.relative(folder, name));
      if (!name.endsWith('locked')) return readdir(name, options as never);
      return Promise.reject(Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' }));
    }) as never);
  });

  it('is no matter to a pattern that leads elsewhere', async () => {
    expect(await relatives(at('locks', '*.npy'))).toEqual(['a.npy']);
    expect(await relatives(at('locks', 's*', '*.npy'))).toEqual(['sub/b.npy']);
    expect(read).toEqual(['locks', 'locks', 'locks/sub']);
  });

  it.each(['', '**/*.npy', '*/*.npy'])('under an input is an error: %j', async (pattern) => {
    await expectReject(relatives(at('locks', pattern)), 'ERR_FILE_IO', /locked: cannot be read: EACCES/);
  });
});

describe('links to folders', () => {
  beforeAll(() => {
    write('links', 'data', 'b', 'x.npy');
    write('elsewhere', 'deep', 'y.npy');
    symlinkSync(at('elsewhere'), at('links', 'data', 'a'));
    // Round in circles, to a folder that is there anyway, and to nowhere.
    symlinkSync(at('links'), at('links', 'data', 'b', 'up'));
    symlinkSync(at('links', 'data', 'b'), at('links', 'a'));
    symlinkSync(at('none'), at('links', 'none'));
    symlinkSync(at('none'), at('links', 'none.npy'));
  });

  it('are followed, and each file has its own path', async () => {
    expect(await relatives(at('links'))).toEqual(['data/b/x.npy', 'data/a/deep/y.npy']);
  });

  it('are followed on the way of a pattern', async () => {
    expect(await relatives(at('links', '*', '*', '*', '*.npy'))).toEqual(['data/a/deep/y.npy']);
    expect(await relatives(at('links', '**', 'a', '*.npy'))).toEqual(['a/x.npy']);
  });

  it('to a folder of outputs are not', async () => {
    expect(await relatives(at('links'), at('elsewhere'))).toEqual(['data/b/x.npy']);
  });
});

describe('folders of outputs', () => {
  beforeAll(() => {
    for (const year of ['2024', '2025']) write('years', year, 'a.npy');
    write('years', '2024', 'deep', 'b.npz');
    write('years', '2024', 'notes.txt');
  });
  const leftOut = async (...inputs: string[]): Promise<number> =>
    (await inputFiles(inputs, [at('years', '2024')])).leftOut;

  it('under an input give none, and their files are counted, each once', async () => {
    const all = at('years', '**', '*.np?');
    expect(await relatives(all, at('years', '2024'))).toEqual(['2025/a.npy']);
    expect(await leftOut(all)).toBe(2);
    expect(await leftOut(all, at('years'))).toBe(2);
    expect(await leftOut(all, at('years', '2024', 'a.npy'))).toBe(1);
    await expectReject(
      relatives(at('years', '*', '*.npz'), at('years', '2024', 'deep'), at('years', '2024')),
      'ERR_FILE_IO',
      /gives no .*file$/,
    );
    await expectReject(
      relatives(at('years', '*4', '*.npy'), at('years', '2024')),
      'ERR_FILE_IO',
      /gives no .* file, but for 1 in folders of outputs$/,
    );
  });

  it.each([[[]], [['*']], [['deep']]])(
    'that hold the input itself give all that it has: %j',
    async (more) => {
      const given = await relatives(at('years', '2024', ...more), at('years', '2024'));
      expect(given).toEqual(
        more[0] === '*' ? ['a.npy'] : more[0] === 'deep' ? ['b.npz'] : ['a.npy', 'deep/b.npz'],
      );
    },
  );
});

const onLinux = process.platform === 'linux' ? it : it.skip;
onLinux('a file whose name is no text is there under the name that it has as text', async () => {
  write('names', 'a.npy');
  writeFileSync(Buffer.concat([Buffer.from(at('names', 'b')), Buffer.of(0xff), Buffer.from('.npy')]), '');
  expect(await relatives(at('names'))).toEqual(['a.npy', 'b\uFFFD.npy']);
});
