import { chmodSync, cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { devNull } from 'node:os';
import path from 'node:path';
import { pipDownload, pipDownloadAll } from '../../../lib/libtorch/pip';
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
    const run = jest.fn((_: string, args: readonly string[]) => {
      writeFiles(args[args.indexOf('--dest') + 1] ?? '', { 'torch-2.13.0.whl': 'new' });
      return Promise.resolve({ status: 0, stderr: '' });
    });
    // Of earlier attempts.
    writeFiles(target, { 'a-stale.whl': '', 'torch-2.13.0.whl': '' });
    const result = await pipDownload(source, target, true, run);
    expect(result).toEqual({ wheel: path.join(target, 'torch-2.13.0.whl'), reason: null });
    expect(readFileSync(path.join(target, 'torch-2.13.0.whl'), 'utf8')).toBe('new');
    expect(readdirSync(target)).toEqual(['a-stale.whl', 'torch-2.13.0.whl']);
    const [, args] = run.mock.calls[0] as unknown as [string, string[]];
    expect(args.join(' ')).toMatch(/^-I -m pip download --no-deps /);
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

describe('in a foreign folder', () => {
  const foreign = path.join(folder, 'foreign');
  const tools = path.join(foreign, 'node_modules', '.bin');
  const before = process.cwd();
  const environment = { ...process.env };
  const code = `open(${JSON.stringify(path.join(folder, 'ran'))}, 'w').close(); raise SystemExit(0)`;

  beforeAll(() => {
    writeFiles(foreign, { 'pip.py': code, python3: `#!/bin/sh\ntouch '${path.join(folder, 'ran')}'\n` });
    cpSync(path.join(foreign, 'python3'), path.join(tools, 'python3'));
    for (const place of [foreign, tools]) chmodSync(path.join(place, 'python3'), 0o755);
    process.chdir(foreign);
    // Nothing is fetched: pip finds no index.
    process.env = Object.fromEntries(
      Object.entries(environment).filter(([name]) => !name.startsWith('PIP_')),
    );
    Object.assign(process.env, {
      PIP_CONFIG_FILE: devNull,
      PIP_NO_INDEX: '1',
      PIP_DISABLE_PIP_VERSION_CHECK: '1',
      PYTHONPATH: foreign,
    });
  });
  afterAll(() => {
    process.chdir(before);
    process.env = environment;
  });

  it('neither its pip.py nor its python3 runs', async () => {
    process.env.PATH = ['', '.', tools, environment.PATH].join(path.delimiter);
    const requirement = 'tokenlearner-has-no-such-package==1';
    const reason = await pipDownloadAll([requirement], path.join(folder, 'wheels'), 'file:///nowhere', false);
    expect(reason).not.toBeNull();
    const result = await pipDownload({ ...source, requirement }, path.join(folder, 'wheels'), false);
    expect(result.wheel).toBeNull();
    expect(existsSync(path.join(folder, 'ran'))).toBe(false);
  }, 60_000);
});
