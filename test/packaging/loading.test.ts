import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { copyProject, evaluate, mustRun, projectFolder, readmeExample, unpackMain } from './support';

const project = projectFolder();
const PREBUILT = `prebuilds/${process.platform}-${process.arch}/tokenlearner.glibc.node`;
let copies = 0;

beforeAll(() => {
  unpackMain(project);
});

/** A project whose package was changed in some way. */
function damaged(change: (folder: string) => void): string {
  const copy = copyProject(project, `damaged ${++copies}`);
  change(path.join(copy, 'node_modules', 'tokenlearner'));
  return copy;
}

/** The error of making a module that needs libtorch, as a user sees it. */
function failure(where: string, env: Record<string, string> = {}): { code: string; message: string } {
  const script = `const { TokenLearner, Tensor } = require('tokenlearner');
    try { Tensor.zeros([1]).data; new TokenLearner({ dim: 8, engine: 'grouped-conv' }); console.log('{}'); }
    catch ({ name, code, message }) { console.log(JSON.stringify({ name, code, message })); }`;
  const error = evaluate(where, script, [], env) as { name: string; code: string; message: string };
  expect(error.name).toBe('TokenLearnerError');
  return error;
}

/** A folder that looks like a libtorch. */
function libtorch(name: string, files: Record<string, Buffer | string>): string {
  const folder = path.join(path.dirname(project), name);
  mkdirSync(path.join(folder, 'lib'), { recursive: true });
  writeFileSync(path.join(folder, 'lib', 'libc10.so'), '');
  for (const [file, content] of Object.entries(files)) writeFileSync(path.join(folder, file), content);
  return folder;
}

const runtimeJson = (version: string): string =>
  JSON.stringify({ version, variant: 'cpu', platform: process.platform, arch: process.arch });

describe('the addon', () => {
  it('is missing for the platform', () => {
    const where = damaged((folder) => {
      rmSync(path.join(folder, 'prebuilds'), { recursive: true });
    });
    const { code, message } = failure(where);
    expect(code).toBe('ERR_ADDON_NOT_FOUND');
    expect(message).toContain(`${process.platform}-${process.arch}`);
    expect(message).toContain('Prebuilt binaries exist for linux-x64 and linux-arm64');
  });

  it('is not taken on musl', () => {
    expect(failure(project, { LIBC: 'musl' }).code).toBe('ERR_ADDON_NOT_FOUND');
  });

  it('is cut off', () => {
    const where = damaged((folder) => {
      const file = path.join(folder, PREBUILT);
      writeFileSync(file, readFileSync(file).subarray(0, 10));
    });
    const { code, message } = failure(where);
    expect(code).toBe('ERR_ADDON_LOAD');
    expect(message).toMatch(/damaged.*install it again/);
  });

  it('is for another architecture', () => {
    const where = damaged((folder) => {
      const content = readFileSync(path.join(folder, PREBUILT));
      // e_machine of the ELF header: s390x.
      content.writeUInt16LE(22, 18);
      writeFileSync(path.join(folder, PREBUILT), content);
    });
    const { code, message } = failure(where);
    expect(code).toBe('ERR_ADDON_LOAD');
    expect(message).toContain('install it again on this machine');
  });
});

describe('libtorch', () => {
  it('is missing: every place that was looked at, and the commands that repair it', () => {
    const { code, message } = failure(project);
    expect(code).toBe('ERR_LIBTORCH_NOT_FOUND');
    expect(message).toMatch(/^Engine 'grouped-conv' needs libtorch\. No libtorch was found/);
    expect(message).toMatch(
      /TOKENLEARNER_LIBTORCH: not set.*libtorch-cpu.*not installed.*cache.*empty.*Python torch/s,
    );
    expect(message).toContain('npx tokenlearner runtime install');
  });

  it('is too old', () => {
    const old = libtorch('old', { 'lib/libtorch_cpu.so': '', 'runtime.json': runtimeJson('2.10.0') });
    const { code, message } = failure(project, { TOKENLEARNER_LIBTORCH: old });
    expect(code).toBe('ERR_LIBTORCH_INCOMPATIBLE');
    expect(message).toMatch(/2\.10\.0.*2\.11 or later/);
  });

  it('lacks what is needed', () => {
    // A library that loads, and is something else.
    const other = libtorch('other', { 'build-version': '2.13.0' });
    cpSync(
      path.join(project, 'node_modules', 'tokenlearner', PREBUILT),
      path.join(other, 'lib', 'libtorch_cpu.so'),
    );
    const { code, message } = failure(project, { TOKENLEARNER_LIBTORCH: other });
    expect(code).toBe('ERR_LIBTORCH_INCOMPATIBLE');
    expect(message).toMatch(/lacks \w+.*named by TOKENLEARNER_LIBTORCH.*runtime install/s);
  });

  it('cannot be loaded', () => {
    const broken = libtorch('broken', { 'lib/libtorch_cpu.so': 'no library', 'build-version': '2.13.0' });
    const { code, message } = failure(project, { TOKENLEARNER_LIBTORCH: broken });
    expect(code).toBe('ERR_LIBTORCH_LOAD');
    expect(message).toMatch(/file too short.*damaged.*runtime install/s);
  });

  it('is not where the environment says', () => {
    const { code, message } = failure(project, { TOKENLEARNER_LIBTORCH: path.join(project, 'nowhere') });
    expect(code).toBe('ERR_LIBTORCH_NOT_FOUND');
    expect(message).toMatch(/TOKENLEARNER_LIBTORCH.*no such folder/);
  });
});

it('import and info never throw, whatever is missing', () => {
  const script = "console.log(JSON.stringify(require('tokenlearner').runtime.info()))";
  expect(evaluate(project, script)).toMatchObject({
    addon: { path: expect.stringContaining(PREBUILT) as string },
    libtorch: { state: 'missing' },
    devices: [{ device: 'cpu' }],
    problem: { code: 'ERR_LIBTORCH_NOT_FOUND' },
  });
});

it("runs the README's example without libtorch", () => {
  writeFileSync(path.join(project, 'example.mjs'), readmeExample());
  expect(mustRun(project, ['example.mjs'])).toContain('Float32Array');
});
