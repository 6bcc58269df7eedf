import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { evaluate } from './evaluate';

interface Report {
  finished: boolean;
  checks: number;
  failures: { name: string }[];
  done?: number[];
}

describe('Report', () => {
  it('is complete on disk after each result', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'gpu-report-'));
    const states = evaluate(
      'report',
      `await (async () => {
        console.log = () => undefined;
        const { readFileSync } = await import('node:fs');
        const file = ${JSON.stringify(path.join(folder, 'deep', 'results.json'))};
        const states = [];
        const read = () => states.push(JSON.parse(readFileSync(file, 'utf8')));
        const report = new it.Report(file, { commit: 'abc' });
        read();
        report.set('done', [1]);
        read();
        report.check('good', true);
        report.check('bad', false);
        read();
        report.finish();
        read();
        return states;
      })()`,
    ) as Report[];
    rmSync(folder, { recursive: true });
    expect(states).toMatchObject([
      { commit: 'abc', finished: false },
      { finished: false, done: [1] },
      { finished: false, checks: 2, failures: [{ name: 'bad' }] },
      { finished: true, done: [1], failures: [{ name: 'bad' }] },
    ]);
  });
});

describe('check.mjs', () => {
  const script = path.resolve(__dirname, '..', 'check.mjs');

  it('runs the faults with the CPU in the place of a GPU', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'gpu-check-'));
    const output = path.join(folder, 'faults.json');
    const run = spawnSync(process.execPath, [script, '--faults', '--device', 'cpu', '--output', output]);
    const report = JSON.parse(readFileSync(output, 'utf8')) as Report;
    rmSync(folder, { recursive: true });
    expect(report).toMatchObject({ device: 'cpu', finished: true, failures: [] });
    expect(report.checks).toBeGreaterThanOrEqual(4);
    expect(run.status).toBe(0);
  });

  it('runs the server with the CPU in the place of a GPU', () => {
    const { status, stdout } = spawnSync(process.execPath, [script, '--server', '--device', 'cpu'], {
      encoding: 'utf8',
    });
    expect(stdout).toContain('All passed');
    expect(status).toBe(0);
  });

  it('says what is wrong with its command line', () => {
    const { status, stderr } = spawnSync(process.execPath, [script, '--only', 'x'], { encoding: 'utf8' });
    expect(status).toBe(2);
    expect(stderr).toContain('for --only but received x');
  });
});

describe('the bounds of the checks', () => {
  it('accept ERR_LIBTORCH for a lack of memory only below libtorch 2.13', () => {
    const codes = (version: string): unknown => evaluate('faults', `it.outOfMemoryCodes('${version}')`);
    expect(codes('2.11.0')).toEqual(['ERR_OUT_OF_MEMORY', 'ERR_LIBTORCH']);
    expect(codes('2.12.1')).toEqual(['ERR_OUT_OF_MEMORY', 'ERR_LIBTORCH']);
    for (const version of ['2.13.0', '2.14.1', '3.0.0'])
      expect(codes(version)).toEqual(['ERR_OUT_OF_MEMORY']);
  });

  it('take enough images for a statistic', () => {
    const images = (...sizes: number[]): unknown => evaluate('parity', `it.imagesFor(${sizes.join()})`);
    expect(images(1, 1, 7)).toBe(64); // 64 tokens
    expect(images(129, 16, 1)).toBe(4); // 64 maps of one pixel
    expect(images(129, 16, 1134)).toBe(2);
  });
});
