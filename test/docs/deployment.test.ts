/** What the servers of docs/deployment.md do when something fails. test/matrix runs all of them, with requests that succeed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pageBlocks, root } from './blocks';
import { fileNameOf } from './program';

const folder = path.join(root, 'build', 'docs-test', 'deployment');
const started: ChildProcess[] = [];

beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
});
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

const blocks = pageBlocks('docs/deployment.md');

function fileOfPage(name: string): string {
  const block = blocks.find((each) => fileNameOf(each) === name);
  if (block === undefined) throw new Error(`docs/deployment.md has no ${name}`);
  return block.text;
}

/** Starts a program in the folder. Its lines on standard output come one by one. */
function start(name: string, text: string, port = 0): [ChildProcess, AsyncIterator<string>] {
  writeFileSync(path.join(folder, name), text);
  const child = spawn(process.execPath, [name], {
    cwd: folder,
    env: { ...process.env, PORT: `${port}` },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  started.push(child);
  return [child, createInterface({ input: child.stdout })[Symbol.asyncIterator]()];
}

const nextLine = async (lines: AsyncIterator<string>): Promise<string> => {
  const next = await lines.next();
  if (next.done === true) throw new Error('The program ended');
  return next.value;
};

async function end(child: ChildProcess): Promise<number | null> {
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
  return child.exitCode;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test('server.mjs answers 500 to a request that fails, and goes on', async () => {
  const page = fileOfPage('server.mjs');
  // Other channels than the model's.
  const failing = page.replace('Tensor.ones([1, 8, 4, 4])', 'Tensor.ones([1, 9, 4, 4])');
  expect(failing).not.toBe(page);
  const port = await freePort();
  const [child, lines] = start(
    'server.mjs',
    `${failing}\nserver.on('listening', () => console.log('ready'));`,
    port,
  );
  expect(await nextLine(lines)).toBe('ready');
  for (let i = 0; i < 2; i++) expect((await fetch(`http://127.0.0.1:${port}`)).status).toBe(500);
  expect(await end(child)).toBe(0);
});

test('cluster.mjs starts another process in place of one that ended, and none once it is to end', async () => {
  writeFileSync(
    path.join(folder, 'server.mjs'),
    "process.once('SIGTERM', () => undefined);\nconsole.log(process.pid);\n",
  );
  const [child, lines] = start('cluster.mjs', fileOfPage('cluster.mjs'));
  const first = Number(await nextLine(lines));
  const second = Number(await nextLine(lines));
  process.kill(first, 'SIGKILL');
  const third = Number(await nextLine(lines));
  expect(new Set([first, second, third]).size).toBe(3);
  expect(await end(child)).toBe(0);
  expect((await lines.next()).done).toBe(true);
});
