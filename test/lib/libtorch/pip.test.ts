import path from 'node:path';
import { pipDownload } from '../../../lib/libtorch/pip';
import { temporaryFolder, writeFiles } from './support';

const folder = temporaryFolder();
const source = {
  requirement: 'torch==2.13.0+cpu',
  platforms: ['one', 'two'],
  index: 'https://index.invalid',
};
const noMatch = {
  status: 1,
  stderr: 'Looking in links\nERROR: No matching distribution found for torch\nnotice\n',
};

describe('pipDownload', () => {
  it('asks for the wheel of one Python, whichever runs, and installs nothing', async () => {
    const target = path.join(folder, 'found');
    const run = jest.fn(() => {
      writeFiles(target, { 'torch-2.13.0.whl': '' });
      return Promise.resolve({ status: 0, stderr: '' });
    });
    const result = await pipDownload(source, target, true, run);
    expect(result).toEqual({ wheel: path.join(target, 'torch-2.13.0.whl'), reason: null });
    const [, args] = run.mock.calls[0] as unknown as [string, string[]];
    expect(args.join(' ')).toContain('pip download --no-deps');
    expect(args.join(' ')).toContain('--abi cp311 --platform one --platform two');
    expect(run).toHaveBeenCalledTimes(1);
  });

  it("then asks for this Python's own, and for PyTorch's index only when told to", async () => {
    const run = jest.fn<Promise<typeof noMatch>, [string, readonly string[]]>(() => Promise.resolve(noMatch));
    const reason = 'ERROR: No matching distribution found for torch';
    expect(await pipDownload(source, folder, false, run)).toEqual({ wheel: null, reason });
    expect(run).toHaveBeenCalledTimes(2);
    expect(run.mock.calls[1]?.[1]).not.toContain('--platform');
    await pipDownload(source, folder, true, run);
    expect(run.mock.calls.filter(([, args]) => args.includes(source.index))).toHaveLength(1);
  });

  it.each([
    ['Python', { status: 127, stderr: 'python3 cannot be run: ENOENT' }],
    ['pip', { status: 1, stderr: '/usr/bin/python3: No module named pip' }],
  ])('does not ask again when there is no %s', async (_name, answer) => {
    const run = jest.fn(() => Promise.resolve(answer));
    expect(await pipDownload(source, folder, true, run)).toEqual({ wheel: null, reason: answer.stderr });
    expect(run).toHaveBeenCalledTimes(1);
  });
});
