import { evaluate } from './evaluate';

interface Options {
  parity: boolean;
  faults: boolean;
  programs: boolean;
  bench: boolean;
  compile: boolean;
  seconds: number | null;
  rows: { workload: { name: string }; mode: { name: string } }[];
}

const parse = (...args: string[]): Options =>
  evaluate('options', `it.parseOptions(${JSON.stringify(args)})`) as Options;

describe('parseOptions', () => {
  it('runs all without a choice', () => {
    expect(parse()).toMatchObject({
      parity: true,
      faults: true,
      programs: true,
      bench: true,
      compile: true,
      device: 'cuda',
    });
    expect(parse('--faults')).toMatchObject({ parity: false, faults: true, programs: false, bench: false });
  });

  it('chooses rows of the bench', () => {
    const { rows, compile } = parse('--only=vit-b,doc-1', '--modes=float16', '--no-compile');
    expect(rows.map(({ workload, mode }) => `${workload.name} ${mode.name}`)).toEqual([
      'doc-1 float16',
      'vit-b float16',
    ]);
    expect(compile).toBe(false);
    expect(new Set(parse().rows.map(({ mode }) => mode.name))).toContain('float16');
  });

  it.each([
    [['--only', 'doc-3'], 'for --only but received doc-3'],
    [['--modes', 'int8'], 'for --modes but received int8'],
    [['--time-limit', 'soon'], 'for --time-limit but received soon'],
    [['--device', 'cuda:1'], 'for --device but received cuda:1'],
    [['--quick'], "Unknown option '--quick'"],
  ])('refuses %j', (args, message) => {
    expect(() => parse(...args)).toThrow(message);
  });
});
