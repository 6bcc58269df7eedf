import path from 'node:path';
import { TokenLearnerError } from '../../../lib/errors';
import type { Host } from '../../../lib/libtorch/cache';
import { locateLibtorch, type LocateOptions } from '../../../lib/libtorch/locate';
import { fakeHost, fakeLibtorch, runtimeJson, temporaryFolder, writeFiles } from './support';

const folder = temporaryFolder();
const at = (...parts: string[]): string => path.join(folder, ...parts);

const explicit = fakeLibtorch(at('explicit'), { 'build-version': '2.13.0' });
const fromEnvironment = fakeLibtorch(at('environment'), { 'build-version': '2.13.0' });
const fromPackage = fakeLibtorch(at('package'), {
  'runtime.json': runtimeJson('2.13.0'),
  'package.json': '{}',
});
const fromPython = fakeLibtorch(at('python', 'torch'), { 'version.py': '__version__ = "2.12.0+cpu"' });
const old = fakeLibtorch(at('old'), { 'build-version': '2.10.0' });

const full = at('home');
const empty = at('empty');
fakeLibtorch(at('home', '.cache', 'tokenlearner', 'libtorch', '2.13.0-cpu'), {
  'runtime.json': runtimeJson('2.13.0'),
});

/** A search in which nothing but what is given can be found. */
function locate(host: Host, more: Omit<LocateOptions, 'host'> = {}): ReturnType<typeof locateLibtorch> {
  return locateLibtorch({
    host,
    resolvePackage: () => null,
    findPython: () => ({ folder: null, reason: 'no Python' }),
    ...more,
  });
}

function failure(work: () => unknown): TokenLearnerError {
  try {
    work();
  } catch (error) {
    if (error instanceof TokenLearnerError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const everything = {
  resolvePackage: () => path.join(fromPackage, 'package.json'),
  findPython: () => ({ folder: fromPython }),
};

describe('locateLibtorch', () => {
  it('prefers option, environment, package, cache, Python, in this order', () => {
    const environment = { TOKENLEARNER_LIBTORCH: fromEnvironment };
    expect(locate(fakeHost(full, environment), { path: explicit, ...everything })).toMatchObject({
      source: 'option',
      libDir: path.join(explicit, 'lib'),
    });
    expect(locate(fakeHost(full, environment), everything).source).toBe('environment');
    expect(locate(fakeHost(full), everything).source).toBe('package');
    expect(locate(fakeHost(full), { findPython: everything.findPython }).source).toBe('cache');
    expect(locate(fakeHost(empty), { findPython: everything.findPython })).toMatchObject({
      source: 'python',
      version: '2.12.0',
      variant: 'cpu',
    });
  });

  it('does not ask Python when something is found before', () => {
    const findPython = jest.fn();
    locate(fakeHost(full), { findPython });
    expect(findPython).not.toHaveBeenCalled();
  });

  it.each([
    ['the explicit path', { path: at('nowhere') }, {}],
    ['TOKENLEARNER_LIBTORCH', {}, { TOKENLEARNER_LIBTORCH: at('nowhere') }],
  ])('fails at once when %s names nothing usable', (place, options, env) => {
    const error = failure(() => locate(fakeHost(full, env), { ...everything, ...options }));
    expect(error.code).toBe('ERR_LIBTORCH_NOT_FOUND');
    expect(error.message).toContain(place);
    expect(error.message).toContain(at('nowhere'));
  });

  it('names both versions when the one that was named is too old', () => {
    const error = failure(() => locate(fakeHost(full, { TOKENLEARNER_LIBTORCH: old })));
    expect(error.code).toBe('ERR_LIBTORCH_INCOMPATIBLE');
    expect(error.message).toMatch(/2\.10\.0.*2\.11 or/s);
  });

  it('skips an old one in a default place, and says so if there is no other', () => {
    const findPython = () => ({ folder: old });
    expect(locate(fakeHost(full), { findPython }).source).toBe('cache');
    const error = failure(() => locate(fakeHost(empty), { findPython }));
    expect(error.code).toBe('ERR_LIBTORCH_INCOMPATIBLE');
    expect(error.message).toMatch(/2\.10\.0.*2\.11 or/s);
  });

  it('prefers a CUDA build in the cache, which someone asked for, to the npm package', () => {
    const cache = at('deliberate', '.cache', 'tokenlearner', 'libtorch');
    fakeLibtorch(path.join(cache, '2.12.0-cu130'), {
      'runtime.json': runtimeJson('2.12.0', { variant: 'cu130' }),
      'lib/libtorch_cuda.so': '',
    });
    expect(locate(fakeHost(at('deliberate')), everything)).toMatchObject({ source: 'cache', hasCuda: true });
  });

  it('takes the CUDA build in the cache, and the newest of several', () => {
    const cache = at('several', '.cache', 'tokenlearner', 'libtorch');
    const cuda = { 'lib/libtorch_cuda.so': '', 'runtime.json': runtimeJson('2.13.0', { variant: 'cu130' }) };
    fakeLibtorch(path.join(cache, '2.11.0-cpu'), { 'runtime.json': runtimeJson('2.11.0') });
    fakeLibtorch(path.join(cache, '2.13.0-cpu'), { 'runtime.json': runtimeJson('2.13.0') });
    fakeLibtorch(path.join(cache, '2.13.0-cu130'), cuda);
    expect(locate(fakeHost(at('several')))).toMatchObject({
      version: '2.13.0',
      variant: 'cu130',
      hasCuda: true,
    });
    fakeLibtorch(path.join(cache, '2.14.0-cpu'), { 'runtime.json': runtimeJson('2.14.0') });
    expect(locate(fakeHost(at('several')))).toMatchObject({ version: '2.13.0', hasCuda: true });
  });

  it('leaves out an install that did not complete, and one for another machine', () => {
    const cache = at('broken', '.cache', 'tokenlearner', 'libtorch');
    fakeLibtorch(path.join(cache, '2.13.0-cpu'));
    fakeLibtorch(path.join(cache, '2.14.0-cpu'), {
      'runtime.json': runtimeJson('2.14.0', { arch: 'arm64' }),
    });
    const { message } = failure(() => locate(fakeHost(at('broken'))));
    expect(message).toContain('did not complete');
    expect(message).toContain('linux-arm64');
  });

  it('lists every place with its reason, and the commands that fix it', () => {
    writeFiles(empty, {});
    const { code, message } = failure(() => locate(fakeHost(empty)));
    expect(code).toBe('ERR_LIBTORCH_NOT_FOUND');
    expect(message).toContain('TOKENLEARNER_LIBTORCH: not set');
    expect(message).toContain('@tokenlearner/libtorch-cpu-linux-x64: not installed');
    expect(message).toContain(`cache ${path.join(empty, '.cache', 'tokenlearner', 'libtorch')}: empty`);
    expect(message).toContain('Python torch: no Python');
    expect(message).toMatch(/^ {2}npm run setup$/m);
    expect(message).toMatch(/^ {2}python3 -m pip install "torch==2\.13\.0\+cpu"/m);
    expect(message).toMatch(/^ {2}export TOKENLEARNER_LIBTORCH=/m);
  });

  it('says that there is no cache for a user without a home, and goes on', () => {
    const nobody = { ...fakeHost(empty), home: null };
    expect(locate(nobody, { findPython: everything.findPython }).source).toBe('python');
    const { message } = failure(() => locate(nobody));
    expect(message).toContain('cache: none, since this user has no home folder');
    expect(message).toContain('TOKENLEARNER_CACHE');
  });

  it.each(['', 'relative', '.'])('looks for nothing below the working directory with the home %j', (home) => {
    const project = at('project');
    fakeLibtorch(path.join(project, home, '.cache', 'tokenlearner', 'libtorch', '2.13.0-cpu'), {
      'runtime.json': runtimeJson('2.13.0'),
    });
    const before = process.cwd();
    process.chdir(project);
    try {
      expect(failure(() => locate(fakeHost(home))).code).toBe('ERR_LIBTORCH_NOT_FOUND');
    } finally {
      process.chdir(before);
    }
  });

  it('takes no relative answer from Python', () => {
    const { message } = failure(() => locate(fakeHost(empty), { findPython: () => ({ folder: 'torch' }) }));
    expect(message).toContain('Python torch: torch is not an absolute path');
  });

  it('says what may not be read', () => {
    const resolvePackage = () => {
      throw Object.assign(new Error('Access to this API has been restricted'), { code: 'ERR_ACCESS_DENIED' });
    };
    const { message } = failure(() => locate(fakeHost(empty), { resolvePackage }));
    expect(message).toMatch(
      /libtorch-cpu-linux-x64: this process may not read its folder: .*--allow-fs-read/,
    );
  });
});
