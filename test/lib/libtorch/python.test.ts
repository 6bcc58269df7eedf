import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync } from 'node:fs';
import path from 'node:path';
import { thisHost } from '../../../lib/libtorch/cache';
import { findPythonTorch } from '../../../lib/libtorch/python';
import { findPython } from '../../../lib/libtorch/python-program';
import { fakeHost, temporaryFolder, writeFiles } from './support';

const folder = temporaryFolder();

const before = process.cwd();
afterEach(() => {
  process.chdir(before);
});

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
    const host = withPython('echo', 'echo "$3"');
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

  it('starts it in isolated mode, in its own folder', () => {
    const host = withPython('where', 'echo "$1 $PWD"');
    expect(findPythonTorch(host)).toEqual({ folder: `-I ${path.join(folder, 'where')}` });
  });

  it('passes over what PATH names in the working directory and in a project', () => {
    const program = '#!/bin/sh\necho /foreign/torch\n';
    const project = path.join(folder, 'project');
    for (const place of ['.', 'bin', 'node_modules/.bin']) {
      writeFiles(path.join(project, place), { python3: program });
      chmodSync(path.join(project, place, 'python3'), 0o755);
    }
    process.chdir(project);
    const places = ['', '.', 'bin', './bin', path.join(project, 'node_modules', '.bin')];
    for (const PATH of [...places, places.join(':')]) {
      expect(findPythonTorch(fakeHost(folder, { PATH }))).toEqual({
        folder: null,
        reason: expect.stringContaining('python3 cannot be run') as string,
      });
    }
    expect(findPythonTorch(fakeHost(folder, { PATH: path.join(project, 'bin') }))).toEqual({
      folder: '/foreign/torch',
    });
  });

  it('looks for python.exe on Windows, in absolute folders alone', () => {
    const project = path.join(folder, 'windows');
    writeFiles(project, { 'python.exe': '#!/bin/sh\necho /foreign/torch\n' });
    chmodSync(path.join(project, 'python.exe'), 0o755);
    process.chdir(project);
    const found = (PATH: string) => findPythonTorch({ ...fakeHost(folder, { PATH }), platform: 'win32' });
    expect(found('.;;windows')).toMatchObject({
      reason: expect.stringContaining('python cannot be run') as string,
    });
    expect(found(`.;${project}`)).toEqual({ folder: '/foreign/torch' });
  });

  it.each(['VIRTUAL_ENV', 'CONDA_PREFIX'])('ignores a relative %s', (variable) => {
    const project = path.join(folder, 'relative');
    writeFiles(path.join(project, 'env', 'lib', 'python3.12', 'site-packages', 'torch'), {
      'version.py': '',
    });
    process.chdir(project);
    expect(findPythonTorch(fakeHost(folder, { PATH: '', [variable]: 'env' })).folder).toBeNull();
  });
});

const withRealPython = findPython(thisHost()).program === null ? describe.skip : describe;

withRealPython('a real Python in a foreign folder', () => {
  it('neither finds its torch nor runs any of its modules', () => {
    const project = path.join(folder, 'foreign');
    const code = `open(${JSON.stringify(path.join(folder, 'ran'))}, 'w').close()\n`;
    writeFiles(project, {
      'torch/__init__.py': code,
      'site.py': code,
      'importlib/__init__.py': code,
      'sitecustomize.py': code,
      'usercustomize.py': code,
    });
    process.chdir(project);
    // The search may find an installed torch.
    for (const PYTHONPATH of ['', '.', project]) {
      const { folder: found } = findPythonTorch({
        ...thisHost(),
        env: { PATH: process.env.PATH, PYTHONPATH, HOME: '' },
      });
      expect(found ?? '').not.toContain(project);
    }
    expect(existsSync(path.join(folder, 'ran'))).toBe(false);
  });

  it('finds what pip has installed for the user, without running it', () => {
    const home = path.join(folder, 'user');
    const { program } = findPython(thisHost());
    const script = 'import site; print(site.getusersitepackages())';
    const env = { PATH: process.env.PATH, HOME: home };
    const site = spawnSync(program ?? '', ['-I', '-c', script], { env, encoding: 'utf8' }).stdout.trim();
    const code = `open(${JSON.stringify(path.join(folder, 'ran'))}, 'w').close()\n`;
    writeFiles(site, { 'torch/__init__.py': code, 'evil.pth': `import os; ${code}` });
    const { folder: found } = findPythonTorch({ ...thisHost(), env });
    // Unless the system has a torch, which comes first.
    expect([path.join(site, 'torch'), found ?? '']).toContain(found);
    expect(found).not.toBeNull();
    expect(existsSync(path.join(folder, 'ran'))).toBe(false);
  });
});
