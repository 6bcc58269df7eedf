import { remedies } from '../../../lib/libtorch/remedies';
import type * as Remedies from '../../../lib/libtorch/remedies';
import { fakeHost } from './support';

/** The remedies on a Linux whose glibc has this version; null is musl. */
function remediesWith(glibc: string | null): string[] {
  let found: string[] = [];
  jest.isolateModules(() => {
    jest.doMock('../../../lib/libtorch/libc', () => ({ isMusl: () => glibc === null }));
    const fresh = jest.requireActual<typeof Remedies>('../../../lib/libtorch/remedies');
    found = fresh.remedies({ ...fakeHost('home'), platform: 'linux' });
  });
  return found;
}

const onLinux = process.platform === 'linux' ? it : it.skip;

describe('remedies', () => {
  onLinux('on musl offers nothing but another distribution', () => {
    expect(remediesWith(null)).toEqual([expect.stringMatching(/glibc.*no libtorch for musl/)]);
    expect(remediesWith('2.36').length).toBeGreaterThan(1);
  });

  it('offers the set-up of the checkout, pip, and a libtorch of one’s own', () => {
    expect(remedies(fakeHost('home'))).toEqual([
      'npm run setup',
      expect.stringContaining('python3 -m pip install "torch==2.13.0+cpu"') as string,
      expect.stringContaining('export TOKENLEARNER_LIBTORCH=') as string,
    ]);
  });

  it('offers no wheel where PyTorch has none, and speaks the language of the shell', () => {
    const commands = remedies({ ...fakeHost('home'), platform: 'win32', arch: 'ia32' });
    expect(commands.join('\n')).not.toContain('pip install');
    expect(commands.at(-1)).toMatch(/^set TOKENLEARNER_LIBTORCH=/);
  });
});
