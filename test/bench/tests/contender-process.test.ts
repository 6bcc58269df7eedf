import { evaluate } from './evaluate';

/** The outcomes of questions to a small program, given as its text. */
function ask(program: string, questions: string): unknown {
  return evaluate(
    'contender-process',
    `await (async () => {
      const started = new it.ContenderProcess(process.execPath, ['--eval', ${JSON.stringify(program)}], { threads: 3 });
      const outcomes = await Promise.allSettled([${questions}]);
      await started.close();
      return outcomes.map(({ value, reason }) => value ?? reason.message);
    })()`,
  );
}

const echo = `require('node:readline').createInterface({ input: process.stdin })
  .on('line', (line) => console.log(JSON.stringify({ ...JSON.parse(line), threads: process.env.OMP_NUM_THREADS })))`;

describe('ContenderProcess', () => {
  it('answers in order and hands the threads on', () => {
    expect(ask(echo, "started.ask('a', { x: 1 }), started.ask('b')")).toEqual([
      { op: 'a', x: 1, threads: '3' },
      { op: 'b', threads: '3' },
    ]);
  });

  it("rejects with the program's message", () => {
    const failing = `process.stdin.once('data', () => console.log('{"error":"no","failed":true}'))`;
    expect(ask(failing, "started.ask('a')")).toEqual(['no']);
  });

  it('rejects what is pending, and what comes later, when the program ends, with its last words', () => {
    const [first, later] = ask(
      "process.stdin.once('data', () => { console.error('last words'); process.exit(7) })",
      "started.ask('a').catch(async (error) => { throw new Error(error.message + '|' + await started.ask('b').catch((e) => e.message)) })",
    ) as [string, string | undefined];
    expect(later).toBeUndefined();
    expect(first).toBe('ended with exit code 7\nlast words|ended with exit code 7\nlast words');
  });

  it('rejects when a program is missing', () => {
    const message = evaluate(
      'contender-process',
      `await new it.ContenderProcess('/nowhere/program', [], { threads: 1 }).ask('a').catch((error) => error.message)`,
    );
    expect(message).toContain('ENOENT');
  });
});
