import { evaluate } from './evaluate';

interface Options {
  quick: boolean;
  install: boolean;
  threads: number;
  published: boolean;
  workloads: { name: string }[];
  contenders: { id: string }[];
}

const parse = (...args: string[]): Options =>
  evaluate('options', `it.parseOptions(${JSON.stringify(args)})`) as Options;

describe('parseOptions', () => {
  it('publishes a full run only', () => {
    expect(parse().published).toBe(true);
    expect(parse('--quick').published).toBe(false);
    expect(parse('--workloads', 'doc-1').published).toBe(false);
    expect(parse('--contenders', 'eager').published).toBe(false);
    expect(parse('--output', 'elsewhere').published).toBe(false);
  });

  it('takes names, always with our own engine, in the order of the tables', () => {
    const { workloads, contenders, threads } = parse(
      '--workloads=cifar,doc-1',
      '--contenders=matmul,eager',
      '--threads=3',
    );
    expect(workloads.map(({ name }) => name)).toEqual(['doc-1', 'cifar']);
    expect(contenders.map(({ id }) => id)).toEqual(['fused', 'eager', 'matmul']);
    expect(threads).toBe(3);
  });

  it('installs nothing for a quick run', () => {
    expect(parse('--quick')).toMatchObject({ quick: true, install: false });
    expect(parse()).toMatchObject({ quick: false, install: true });
  });

  it.each([
    [['--workloads', 'doc-3'], 'for --workloads but received doc-3'],
    [['--contenders', 'x,eager'], 'for --contenders but received x'],
    [['--threads', '0'], 'Expected a positive integer for --threads but received 0'],
    [['--threads', 'two'], 'Expected a positive integer for --threads but received two'],
    [['--fast'], "Unknown option '--fast'"],
  ])('refuses %j', (args, message) => {
    expect(() => parse(...args)).toThrow(message);
  });
});
