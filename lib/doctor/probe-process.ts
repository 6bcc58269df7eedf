import { spawnSync } from 'node:child_process';
import path from 'node:path';
import type { ProbeEvent, ProbeReport } from './probe-report';

/** Milliseconds. The first CUDA context on a busy machine takes seconds. */
const TIMEOUT = 120_000;

/** Tries all native code in a child process. Never throws; blocks until the child has ended. */
export function runProbe(script: string = path.join(__dirname, 'probe.js'), timeout = TIMEOUT): ProbeReport {
  let child;
  try {
    child = spawnSync(process.execPath, [script], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      encoding: 'utf8',
      timeout,
      windowsHide: true,
    });
  } catch (error) {
    // Node throws if its permission model forbids child processes.
    return { events: [], crash: { step: 'start', reason: (error as Error).message } };
  }
  const events = parseEvents(reportOf(child));
  if (child.error === undefined && child.status === 0) return { events, crash: null };
  // One that ran for too long has an error too, and a process id.
  const started = child.error === undefined || child.pid > 0;
  const step = events.at(-1)?.step ?? (started ? 'probe' : 'start');
  return { events, crash: { step, reason: describeEnd(child) } };
}

/** A child that could not be started, for want of processes or memory, has no output at all. Node's types do not say so. */
function reportOf({ output }: { output: readonly (string | null)[] | null }): string {
  return output?.[3] ?? '';
}

/** Ignores a line that a crash cut off. */
function parseEvents(text: string): ProbeEvent[] {
  return text.split('\n').flatMap((line): ProbeEvent[] => {
    try {
      return [JSON.parse(line) as ProbeEvent];
    } catch {
      return [];
    }
  });
}

interface Ended {
  error?: Error;
  signal: string | null;
  status: number | null;
  stderr: string | null;
}

function describeEnd({ error, signal, status, stderr }: Ended): string {
  const how = error?.message ?? signal ?? `exit code ${status ?? 'unknown'}`;
  const said = lastWords(stderr ?? '');
  return said === '' ? how : `${how}: ${said}`;
}

/** The last line of what a process said; of an uncaught error, which Node ends with its version, the line with the message. */
function lastWords(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (!/^Node\.js v\d/.test(lines.at(-1) ?? '')) return lines.at(-1)?.trim() ?? '';
  return lines.find((line) => /^(?:Uncaught )?\w*Error\b/.test(line)) ?? lines.at(-2) ?? '';
}
