import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { evaluateScript } from './support';

const evaluate = (expression: string): unknown => evaluateScript('tools.mjs', expression);

describe('commandLine', () => {
  const parse = (options: string, ...args: string[]): unknown =>
    evaluate(`it.commandLine(${options}, { args: ${JSON.stringify(args)} }).values`);
  const options = "{ libtorch: { type: 'string' }, tests: { type: 'boolean' } }";

  it('reads values and flags', () => {
    expect(parse(options, '--libtorch', 'x')).toEqual({ libtorch: 'x' });
    expect(parse(options, '--tests', '--libtorch=a=b')).toEqual({ tests: true, libtorch: 'a=b' });
    expect(parse(options)).toEqual({});
  });

  it.each([
    [['--libtorches', 'x'], "Unknown option '--libtorches'"],
    [['--libtorch'], 'argument missing'],
    [['x'], 'Unexpected argument'],
  ])('refuses %j', (args, message) => {
    expect(() => parse(options, ...args)).toThrow(message);
    expect(() => parse(options, ...args)).toThrow('SetupError');
  });
});

describe('compareVersions', () => {
  it.each([
    ['0.2.0', '0.1.9', 1],
    ['0.1.10', '0.1.9', 1],
    ['1.0.0', '1.0.0', 0],
    ['0.9.9', '1.0.0', -1],
    ['2.28', '2.3', 1],
    ['2.28', '2.28.1', -1],
    ['1.0.0-rc.1', '1.0.0', 0],
  ])('%s and %s', (a, b, sign) => {
    expect(Math.sign(evaluate(`it.compareVersions('${a}', '${b}')`) as number)).toBe(sign);
  });
});

describe('hashInputs', () => {
  it('depends on the files and on the rest, and not on what does not exist', () => {
    const [files, again, more, rest] = evaluate(
      `[it.hashInputs(['lib/errors.ts']), it.hashInputs(['lib/errors.ts', 'lib/nowhere']),
        it.hashInputs(['lib/errors.ts', 'package.json']), it.hashInputs(['lib/errors.ts'], { cuda: 'ON' })]`,
    ) as string[];
    expect(again).toBe(files);
    expect(more).not.toBe(files);
    expect(rest).not.toBe(files);
  });
});

describe('run', () => {
  it('says what failed and how', () => {
    expect(() => evaluate(`it.run(process.execPath, ['-e', 'process.exit(3)'])`)).toThrow('exit code 3');
    expect(() => evaluate(`it.run('no-such-program', [])`)).toThrow('no-such-program cannot be run');
  });
});

const onPosix = process.platform === 'win32' ? it.skip : it;

describe('isMain', () => {
  onPosix('is true for a script that is started through a link to the checkout', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-tools-'));
    try {
      symlinkSync(path.resolve(__dirname, '..', '..'), path.join(folder, 'link'), 'dir');
      const args = [path.join(folder, 'link', 'scripts', 'libtorch.mjs'), '--no-such-option'];
      const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      expect(stderr).toContain("Unknown option '--no-such-option'");
      expect(status).toBe(1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('is false for an import, whatever the first argument is', () => {
    expect(evaluate('it.isMain(import.meta.url)')).toBe(false);
  });
});

describe('npmCommand', () => {
  it('takes npm’s own file, and none of another package manager', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-tools-'));
    try {
      const commandOf = (name: string): unknown => {
        const file = path.join(folder, name);
        writeFileSync(file, '');
        return evaluate(`(process.env.npm_execpath = ${JSON.stringify(file)}, it.npmCommand())`);
      };
      expect(commandOf('npm-cli.js')).toMatchObject({ first: [path.join(folder, 'npm-cli.js')] });
      expect(commandOf('yarn.js')).toMatchObject({ command: 'npm', first: [] });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
