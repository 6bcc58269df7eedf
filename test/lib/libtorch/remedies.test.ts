import { remedies } from '../../../lib/libtorch/remedies';
import { fakeHost } from './support';

describe('remedies', () => {
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
