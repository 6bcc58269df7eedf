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

it('gives the message of an uncaught error, which is no failure to start', () => {
  expect(runProbe(path.join(folder, 'nowhere.js')).crash).toEqual({
    step: 'probe',
    reason: expect.stringMatching(/^exit code 1: Error: Cannot find module .*nowhere\.js/) as string,
  });
  expect(
    probe('uncaught', "const e = new TypeError('wrong'); e.more = { Error: 1 }; throw e;").crash,
  ).toEqual({
    step: 'libtorch',
    reason: 'exit code 1: TypeError: wrong',
  });
  expect(probe('string', "throw 'a word';").crash?.reason).not.toContain('Node.js v');
});

it('knows that one which ran for too long had started', () => {
  const script = path.join(folder, 'silent.js');
  writeFileSync(script, 'setInterval(() => {}, 1000);');
  expect(runProbe(script, 500).crash).toMatchObject({ step: 'probe' });
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
