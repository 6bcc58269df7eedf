import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const tools = pathToFileURL(path.resolve(__dirname, '..', '..', 'scripts', 'tools.mjs')).href;

/** The JSON that an expression over the exports of tools.mjs gives. */
function evaluate(expression: string): unknown {
  const text = `import * as tools from '${tools}'; console.log(JSON.stringify(${expression}));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', text], {
    encoding: 'utf8',
  });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as unknown;
}

describe('argument', () => {
  it.each([
    ['["--libtorch", "x"]', 'x'],
    ['["--tests", "--libtorch=a=b"]', 'a=b'],
  ])('reads %s', (args, value) => {
    expect(evaluate(`tools.argument('libtorch', ${args})`)).toBe(value);
  });

  it('is undefined where there is none, and refuses one without a value', () => {
    expect(evaluate(`tools.argument('libtorch', ['--libtorches', 'x']) ?? null`)).toBeNull();
    expect(() => evaluate(`tools.argument('libtorch', ['--libtorch'])`)).toThrow('--libtorch needs a value');
    expect(() => evaluate(`tools.argument('libtorch', ['--libtorch', '--tests'])`)).toThrow('needs a value');
  });
});

describe('hashInputs', () => {
  it('depends on the files and on the rest, and not on what does not exist', () => {
    const [files, again, more, rest] = evaluate(
      `[tools.hashInputs(['lib/errors.ts']), tools.hashInputs(['lib/errors.ts', 'lib/nowhere']),
        tools.hashInputs(['lib/errors.ts', 'package.json']), tools.hashInputs(['lib/errors.ts'], { cuda: 'ON' })]`,
    ) as string[];
    expect(again).toBe(files);
    expect(more).not.toBe(files);
    expect(rest).not.toBe(files);
  });
});

describe('run', () => {
  it('says what failed and how', () => {
    expect(() => evaluate(`tools.run(process.execPath, ['-e', 'process.exit(3)'])`)).toThrow('exit code 3');
    expect(() => evaluate(`tools.run('no-such-program', [])`)).toThrow('no-such-program cannot be run');
  });
});
