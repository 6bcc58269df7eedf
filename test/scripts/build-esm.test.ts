import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const script = pathToFileURL(path.resolve(__dirname, '..', '..', 'scripts', 'build-esm.mjs')).href;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-esm-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** Runs an ES module's text in the folder. */
function runModule(text: string): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['--input-type=module', '--eval', text], {
    cwd: folder,
    encoding: 'utf8',
  });
}

function writeEntry(commonJs: string): ReturnType<typeof runModule> {
  const manifest = { name: 'tokenlearner', exports: { import: './index.mjs', require: './index.js' } };
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify(manifest));
  writeFileSync(path.join(folder, 'index.js'), commonJs);
  writeFileSync(path.join(folder, 'bundled.js'), 'exports.BUNDLED_MESSAGE = "leave it out of the bundle";');
  return runModule(
    `import { writeTraceableEsmEntry } from '${script}'; writeTraceableEsmEntry(process.cwd());`,
  );
}

describe('writeTraceableEsmEntry', () => {
  it('hands out the very objects of the CommonJS entry', () => {
    expect(writeEntry('exports.Tensor = class Tensor {}; exports.count = 0;').status).toBe(0);
    const { stdout } = runModule(`
      import { createRequire } from 'node:module';
      import * as esm from './index.mjs';
      const cjs = createRequire(process.cwd() + '/')('./index.js');
      console.log(Object.keys(esm).join(), esm.Tensor === cjs.Tensor, esm.default === cjs);
    `);
    expect(stdout.trim()).toBe('Tensor,count,default true true');
    expect(readFileSync(path.join(folder, 'index.d.mts'), 'utf8')).toMatch(
      /^export \* from '.\/index.js';\n/,
    );
  });

  it('an entry that is no longer in its package gives the advice', () => {
    writeEntry('exports.Tensor = 1;');
    rmSync(path.join(folder, 'package.json'));
    const { stderr } = runModule("await import('./index.mjs');");
    expect(stderr).toMatch(/TokenLearnerError: leave it out of the bundle/);
    expect(stderr).toContain("code: 'ERR_BUNDLED'");
  });

  it('an error of the package itself is passed on', () => {
    writeEntry('exports.Tensor = 1;');
    writeFileSync(path.join(folder, 'index.js'), "require('nothing-of-this-name');");
    expect(runModule("await import('./index.mjs');").stderr).toContain(
      "Error: Cannot find module 'nothing-of-this-name'",
    );
  });

  it.each(["exports['not-a-name'] = 1;", 'exports.default = 1;', ''])('refuses %j', (commonJs) => {
    const { status, stderr } = writeEntry(commonJs);
    expect(status).not.toBe(0);
    expect(stderr).toContain('Expected named exports');
  });
});
