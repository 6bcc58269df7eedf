/** Services of the tests' own, and waiting. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';

const setTimer = globalThis.setTimeout;

/** The checkout. */
export const root = path.resolve(import.meta.dirname, '..', '..', '..');

/** A port that was free a moment ago. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits until a condition holds. Rejects when the signal, that of a test, says that its time is over. */
export async function until(condition, signal) {
  while (!(await condition())) {
    signal?.throwIfAborted();
    await setTimeout(10);
  }
}

/** Resolves once a process has printed a line that the pattern matches. Rejects if it ends before. */
export async function printed(child, pattern) {
  for await (const line of createInterface({ input: child.stdout })) {
    if (!pattern.test(line)) continue;
    child.stdout.resume();
    return line;
  }
  throw new Error(`${child.spawnargs.join(' ')} ended before it printed ${pattern}`);
}

/** Sends a signal and waits for the end, which SIGKILL brings after a minute. Resolves to the exit code. */
export async function end(child, signal = 'SIGTERM') {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const timer = setTimer(() => child.kill('SIGKILL'), 60_000);
  child.kill(signal);
  const [code] = await once(child, 'exit');
  clearTimeout(timer);
  return code;
}

/** Starts redis-server in a folder; it keeps nothing on disk. */
export async function startRedis(folder) {
  const port = await freePort();
  const args = [
    '--port',
    `${port}`,
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    folder,
  ];
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await printed(child, /Ready to accept connections/);
  return { child, url: `redis://127.0.0.1:${port}` };
}
