import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { runProbe } from '../../../lib/doctor/probe-process';
import { temporaryFolder } from '../libtorch/support';

const folder = temporaryFolder();
const BEGIN = `const { writeSync } = require('node:fs');
  const write = (event) => writeSync(3, JSON.stringify(event) + '\\n');
  write({ step: 'libtorch', begin: true });`;

function probe(name: string, code: string, timeout?: number): ReturnType<typeof runProbe> {
  const script = path.join(folder, `${name}.js`);
  writeFileSync(script, `${BEGIN}\n${code}`);
  return runProbe(script, timeout);
}

it('gives what the process found, and nothing that native code prints', () => {
  const report = probe(
    'good',
    "console.log('noise'); write({ step: 'libtorch', libtorch: { version: '2.13.0' } });",
  );
  expect(report.crash).toBeNull();
  expect(report.events).toEqual([
    { step: 'libtorch', begin: true },
    { step: 'libtorch', libtorch: { version: '2.13.0' } },
  ]);
});

it('survives a crash and names its step', () => {
  const report = probe(
    'crash',
    "console.error('last words'); process.kill(process.pid, 'SIGSEGV'); setTimeout(() => {}, 9999);",
  );
  expect(report.crash).toEqual({ step: 'libtorch', reason: 'SIGSEGV: last words' });
});

it('names the exit code of one that ends itself, and drops half a line', () => {
  const report = probe('exit', 'writeSync(3, \'{"step":\'); process.exit(7);');
  expect(report).toEqual({
    events: [{ step: 'libtorch', begin: true }],
    crash: { step: 'libtorch', reason: 'exit code 7' },
  });
});

it('does not wait for ever', () => {
  expect(probe('hang', 'setInterval(() => {}, 1000);', 500).crash?.reason).toContain('ETIMEDOUT');
});

it('reports a process that cannot be started', () => {
  expect(runProbe(path.join(folder, 'nowhere.js')).crash?.step).toBe('start');
});

it('reports that no child process can be started at all', () => {
  const { execPath } = process;
  try {
    process.execPath = path.join(folder, 'no-node');
    const { events, crash } = runProbe();
    expect(events).toEqual([]);
    expect(crash?.step).toBe('start');
    expect(crash?.reason).toContain('ENOENT');
  } finally {
    process.execPath = execPath;
  }
});
