import { chmodSync } from 'node:fs';
import path from 'node:path';
import { findPythonTorch } from '../../../lib/libtorch/python';
import { fakeHost, temporaryFolder, writeFiles } from './support';

const folder = temporaryFolder();

/** A host whose only program is a python3 that runs this shell script. */
function withPython(name: string, script: string): ReturnType<typeof fakeHost> {
  const programs = path.join(folder, name);
  writeFiles(programs, { python3: `#!/bin/sh\n${script}\n` });
  chmodSync(path.join(programs, 'python3'), 0o755);
  return fakeHost(folder, { PATH: programs });
}

const onPosix = process.platform === 'win32' ? describe.skip : describe;

onPosix('findPythonTorch', () => {
  it.each(['VIRTUAL_ENV', 'CONDA_PREFIX'])('finds torch in %s without running Python', (variable) => {
    const torch = path.join(folder, variable, 'lib', 'python3.12', 'site-packages', 'torch');
    writeFiles(torch, { 'version.py': '' });
    const host = fakeHost(folder, { PATH: '', [variable]: path.join(folder, variable) });
    expect(findPythonTorch(host)).toEqual({ folder: torch });
  });

  it('asks python3 when no environment is active', () => {
    expect(findPythonTorch(withPython('has', 'echo /site/torch'))).toEqual({ folder: '/site/torch' });
  });

  it('asks where torch is and does not import it', () => {
    const host = withPython('echo', 'echo "$2"');
    const answer = findPythonTorch(host);
    expect(answer.folder).toContain('find_spec("torch")');
    expect(answer.folder).not.toMatch(/import torch/);
  });

  it.each([
    ['prints nothing', 'exit 0'],
    ['fails', 'echo broken; exit 1'],
  ])('says that there is no torch when python3 %s', (name, script) => {
    expect(findPythonTorch(withPython(name.replace(' ', '-'), script))).toEqual({
      folder: null,
      reason: 'python3 has no module torch',
    });
  });

  it('says that python3 cannot be run', () => {
    const host = fakeHost(folder, { PATH: path.join(folder, 'empty') });
    expect(findPythonTorch(host)).toMatchObject({
      folder: null,
      reason: expect.stringContaining('ENOENT') as string,
    });
  });
});
