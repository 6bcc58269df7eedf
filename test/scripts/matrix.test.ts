import { evaluateScript } from './support';

const CASES = `[
  { group: 'runtimes', name: 'Node 24', quick: true },
  { group: 'bundlers', name: 'webpack' },
]`;

it('chooses the cases of CI, and those of a name or a group', () => {
  const names = (options: string): unknown =>
    evaluateScript('matrix.mjs', `it.choose(${CASES}, ${options}).map(({ name }) => name)`);
  expect(names('{}')).toEqual(['Node 24', 'webpack']);
  expect(names('{ quick: true }')).toEqual(['Node 24']);
  expect(names("{ only: 'bundlers' }")).toEqual(['webpack']);
  expect(() => names("{ only: 'deno' }")).toThrow(/No case's group or name contains 'deno'/);
});

it('tells a pass, a failure and what cannot be had apart', () => {
  const run = (body: string): unknown =>
    evaluateScript(
      'matrix.mjs',
      `await it.runCase({ group: 'g', name: 'n', run: async () => { ${body} } }).then(({ output, ...rest }) => rest)`,
    );
  const named = { group: 'g', name: 'n' };
  expect(run("return 'how';")).toEqual({ ...named, status: 'pass', detail: 'how' });
  expect(run("throw new Error('first\\nsecond');")).toEqual({ ...named, status: 'FAIL', detail: 'first' });
  const skip =
    "const { Skip } = await import(process.cwd() + '/test/matrix/support.mjs'); throw new Skip('no engine');";
  expect(run(skip)).toEqual({ ...named, status: 'SKIP', detail: 'no engine' });
});

it('every case has a name of its own', () => {
  const names = evaluateScript(
    'matrix.mjs',
    '(await it.loadCases()).map(({ group, name }) => `${group}: ${name}`)',
  );
  expect(new Set(names as string[]).size).toBe((names as string[]).length);
  expect(names).toEqual(expect.arrayContaining([expect.stringMatching(/^servers: Next\.js/)]));
});

it('writes a table in which a bar does not break a cell', () => {
  const result = `{ group: 'g', name: 'a|b', status: 'pass', detail: '' }`;
  expect(evaluateScript('matrix.mjs', `it.table([${result}])`)).toContain('| g | a\\|b | pass |  |');
});

it('replaces the rows of the cases that ran on the page, and keeps the others', () => {
  const page = (before: string, results: string): string =>
    evaluateScript(
      'matrix.mjs',
      `it.page(${JSON.stringify(before)}, ${CASES}, ${results}, '2026-01-02')`,
    ) as string;
  const result = (name: string, status: string): string =>
    `{ group: '${name === 'webpack' ? 'bundlers' : 'runtimes'}', name: '${name}', status: '${status}', detail: '' }`;
  const first = page('', `[${result('Node 24', 'pass')}, ${result('webpack', 'FAIL')}]`);
  expect(first).toContain('| bundlers | webpack | FAIL | 2026-01-02 |  |');
  const second = page(first.replaceAll('2026-01-02', '2025-01-01'), `[${result('webpack', 'pass')}]`);
  expect(second).toContain('| runtimes | Node 24 | pass | 2025-01-01 |  |');
  expect(second).toContain('| bundlers | webpack | pass | 2026-01-02 |  |');
});
