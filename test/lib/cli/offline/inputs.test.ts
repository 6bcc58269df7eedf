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
  (await inputFiles([input], outputs)).map(({ relative }) => relative);

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
