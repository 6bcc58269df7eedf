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
