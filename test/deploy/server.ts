/** Runs `tokenlearner serve` with the arguments that a file of deploy/ has. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { saveSafetensors, TokenLearner } from 'tokenlearner';

export const TOKEN = 'a-token-for-tests';
const CLI = path.resolve(__dirname, '..', '..', 'dist', 'cli', 'main.js');

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** A folder with what volumes would bring: models/model.safetensors and tokens. It is removed after the tests. */
export async function volumes(): Promise<string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-deploy-'));
  folders.push(folder);
  const model = new TokenLearner({ dim: 4, numOutputTokens: 2, device: 'cpu' });
  mkdirSync(path.join(folder, 'models'));
  await saveSafetensors(path.join(folder, 'models', 'model.safetensors'), model.stateDict());
  writeFileSync(path.join(folder, 'tokens'), `${TOKEN}\n`);
  return folder;
}

export interface RunningServer {
  url: string;
  /** Sends SIGTERM. Resolves to the exit code. */
  stop(): Promise<number | null>;
}

/** Starts a command of `node` that serves. Rejects with what it said if it ends before it is ready. */
export async function startServer(args: readonly string[], cwd?: string): Promise<RunningServer> {
  const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const { msg, httpPort } = JSON.parse(line) as { msg: string; httpPort?: number };
    if (msg !== 'ready' || httpPort === undefined) continue;
    child.stdout.resume();
    return { url: `http://127.0.0.1:${httpPort}`, stop: () => end(child) };
  }
  throw new Error(`The server ended: ${said}`);
}

async function end(child: ChildProcess): Promise<number | null> {
  child.kill('SIGTERM');
  if (child.exitCode === null) await once(child, 'exit');
  return child.exitCode;
}

/** The arguments after `tokenlearner serve`, with ports that are free and files of this machine. */
export const serveHere = (args: readonly string[], paths: Readonly<Record<string, string>>): string[] => [
  CLI,
  'serve',
  ...here(args, paths),
];

/** Arguments with free ports, and with the folders of this machine for those of the container. */
export function here(args: readonly string[], paths: Readonly<Record<string, string>>): string[] {
  const words = args.flatMap((word) => word.replace(/^(--[a-z-]+)=/, '$1\0').split('\0'));
  const isPort = (word = ''): boolean => ['--http-port', '--grpc-port'].includes(word);
  const others = words.filter((word, i) => !isPort(word) && !isPort(words[i - 1]));
  return [...others, '--http-port', '0', '--grpc-port', '0'].map((word) =>
    Object.entries(paths).reduce((text, [from, to]) => text.replaceAll(from, to), word),
  );
}
