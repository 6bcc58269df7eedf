import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const script = pathToFileURL(path.resolve(__dirname, '..', '..', 'scripts', 'python-env.mjs')).href;
const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-python-'));
const onPosix = process.platform === 'win32' ? describe.skip : describe;
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** The JSON that an expression over the script's exports gives, in a folder and with a PATH. */
function evaluate(expression: string, cwd: string, PATH: string): unknown {
  const text = `import * as it from '${script}'; console.log(JSON.stringify(${expression}));`;
  const options = { cwd, env: { ...process.env, PATH }, encoding: 'utf8' } as const;
  return JSON.parse(spawnSync(process.execPath, ['--input-type=module', '--eval', text], options).stdout);
}

/** A folder whose python3 succeeds only when it is started as it must be. */
function withPython(...parts: string[]): string {
  const place = path.join(folder, ...parts);
  mkdirSync(place, { recursive: true });
  const program = path.join(place, 'python3');
  writeFileSync(program, `#!/bin/sh\n[ "$1" = -I ] && [ "$PWD" = '${place}' ]\n`);
  chmodSync(program, 0o755);
  return place;
}

onPosix('the system’s Python', () => {
  it('is one that PATH names outside the working directory and any node_modules', () => {
    const system = withPython('system');
    const project = withPython('project');
    const tools = withPython('project', 'node_modules', '.bin');
    const found = (...entries: string[]) => evaluate('it.systemPython()', project, entries.join(':'));
    expect(found('', '.', tools, system)).toBe(path.join(system, 'python3'));
    expect(found('', '.', tools)).toBeNull();
  });

  it('runs in isolated mode, in its own folder', () => {
    const program = JSON.stringify(path.join(withPython('isolated'), 'python3'));
    expect(evaluate(`it.pythonSucceeds(${program}, ['-c', ''])`, folder, process.env.PATH ?? '')).toBe(true);
    expect(evaluate(`it.runPython(${program}, ['-c', '']) ?? 'ran'`, folder, process.env.PATH ?? '')).toBe(
      'ran',
    );
    expect(evaluate('it.pythonSucceeds(null, [])', folder, '')).toBe(false);
  });
});
