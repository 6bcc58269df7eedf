import { spawn } from 'node:child_process';
import path from 'node:path';

/** The limit of each test here, for a slow machine: only a hang reaches it. scripts/sanitize.mjs raises it. Milliseconds. */
const LIMIT = 1000 * Number(process.env.TOKENLEARNER_TEST_SECONDS ?? 300);
jest.setTimeout(LIMIT);

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/**
 * Runs a script of scripts/ in its own process, on the compiled package in dist/. A script that has not ended just before the test's
 * limit is killed, and the error has what it printed.
 */
export function runScript(
  name: string,
  args: (string | number)[] = [],
  flags: string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const file = path.join(__dirname, 'scripts', `${name}.cjs`);
  const child = spawn(process.execPath, [...flags, file, ...args.map(String)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
    });
  }
  return new Promise((resolve, reject) => {
    const seconds = 0.95 * (LIMIT / 1000);
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${name} did not end within ${seconds} s. It printed ${JSON.stringify(text)}`));
    }, 1000 * seconds);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, ...text });
    });
  });
}

/** Runs a script, expects it to succeed, and returns the JSON in its last line. */
export async function resultOf(...args: Parameters<typeof runScript>): Promise<unknown> {
  const { stdout, ...rest } = await runScript(...args);
  expect(rest).toEqual({ code: 0, signal: null, stderr: '' });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}
