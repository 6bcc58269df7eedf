/** The servers and places of docs/deployment.md, from the page's own blocks: each answers with the tokens of plain Node. */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { root } from '../../../scripts/tools.mjs';
import {
  bun,
  cleanEnvironment,
  demandTokens,
  deno,
  exact,
  newFolder,
  node,
  project,
  run,
  Skip,
  tool,
  toolNode,
  versions,
  write,
} from '../support.mjs';

const PAGE = readFileSync(path.join(root, 'docs', 'deployment.md'), 'utf8');

/** Files of the page: a block's first line is a comment with the file's name. */
function pageFiles(...names) {
  return Object.fromEntries(
    names.map((name) => {
      const block = PAGE.split(/^```/m).find((text) => /^\w+\n(?:\/\/|#) (.*)\n/.exec(text)?.[1] === name);
      if (block === undefined) throw new Error(`docs/deployment.md has no file ${name}`);
      return [name, block.slice(block.indexOf('\n') + 1)];
    }),
  );
}

/** The arguments of a command of the page that begins with `start`. */
function pageCommand(start) {
  const line = PAGE.split('\n').find((each) => each.startsWith(start));
  if (line === undefined) throw new Error(`docs/deployment.md has no command '${start}'`);
  return line.split(' ').slice(1);
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The first answer of a server; `isOver` says that it cannot answer any more. */
async function answer(port, url = '/', isOver = () => false, seconds = 120) {
  for (let tries = 0; tries < seconds * 5 && !isOver(); tries++) {
    const response = await fetch(`http://127.0.0.1:${port}${url}`).catch(() => undefined);
    if (response?.ok) return response.text();
    if (response) throw new Error(`${response.status}: ${await response.text()}`);
    await pause(200);
  }
  throw new Error('No answer');
}

/** Starts a server, compares its answer, and ends it with SIGTERM, after which it must exit by itself. */
async function serve(folder, program, args, { url, endsWith = [0] } = {}) {
  const port = await freePort();
  const env = { ...cleanEnvironment(), PORT: String(port), HOSTNAME: '127.0.0.1' };
  const child = spawn(program, args, { cwd: folder, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  const ended = new Promise((resolve) => child.once('close', (status, signal) => resolve(status ?? signal)));
  try {
    await demandTokens(`tokens ${await answer(port, url, () => child.exitCode !== null)}`);
    child.kill('SIGTERM');
    const end = await Promise.race([ended, pause(60_000).then(() => 'no end within 60 s')]);
    if (!endsWith.includes(end)) throw new Error(`After SIGTERM: ${end}`);
  } catch (error) {
    throw new Error(`${error.message}\n${output}`, { cause: error });
  } finally {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGKILL');
  }
}

/** A case that serves one file of the page. */
const server = (name, file, { tools = [], files = [], quick = true, endsWith } = {}) => ({
  name,
  quick,
  async run() {
    const folder = await project(name, { files: pageFiles(file, ...files), tools });
    await serve(folder, toolNode(), [file], { endsWith });
  },
});

const named = (name) => `${name} ${versions.packages[name]}`;

async function nextApp(config) {
  const layout = `export default function Layout({ children }) { return <html><body>{children}</body></html>; }\n`;
  const files = {
    ...pageFiles('next.config.mjs', 'app/tokens/route.js'),
    'app/layout.js': layout,
    ...config,
  };
  const folder = await project('next', { files, tools: exact('next', 'react', 'react-dom') });
  const outcome = await node(folder, [tool(folder, 'next/dist/bin/next'), 'build'], {
    seconds: 900,
    allowFailure: true,
  });
  return { folder, ...outcome };
}

/** Copies a standalone build to where nothing else of the project is. */
function standalone(folder) {
  const elsewhere = newFolder('standalone');
  cpSync(path.join(folder, '.next', 'standalone'), elsewhere, { recursive: true, verbatimSymlinks: true });
  rmSync(path.join(folder, 'node_modules'), { recursive: true });
  return elsewhere;
}

export default [
  server(`node:http, Node ${versions.node}`, 'server.mjs'),
  server(named('fastify'), 'fastify.mjs', { tools: exact('fastify') }),
  server(named('express'), 'express.mjs', { tools: exact('express') }),
  server('node:cluster', 'cluster.mjs', { files: ['server.mjs'] }),
  {
    name: named('pm2'),
    async run() {
      const folder = await project('pm2', {
        files: pageFiles('ecosystem.config.cjs', 'server.mjs'),
        tools: exact('pm2'),
      });
      const port = await freePort();
      const config = pageFiles('ecosystem.config.cjs')['ecosystem.config.cjs'].replace('3000', port);
      write(folder, { 'ecosystem.config.cjs': config });
      const env = { PM2_HOME: path.join(folder, '.pm2') };
      const pm2 = (...args) => node(folder, [tool(folder, 'pm2/bin/pm2'), ...args], { env });
      await pm2('start', 'ecosystem.config.cjs');
      try {
        await demandTokens(`tokens ${await answer(port)}`);
        await pm2('reload', 'tokens');
        await demandTokens(`tokens ${await answer(port)}`);
      } finally {
        await pm2('kill');
      }
    },
  },
  {
    name: 'systemd unit',
    quick: true,
    async run() {
      const verify = '/usr/bin/systemd-analyze';
      if (!existsSync(verify)) throw new Skip('no systemd-analyze here');
      const folder = newFolder('systemd');
      const unit = pageFiles('tokens.service')['tokens.service'];
      const here = unit.replace('/usr/bin/node', process.execPath).replaceAll('/srv/tokens', folder);
      write(folder, { 'tokens.service': here, 'server.mjs': '' });
      const { stderr, status } = await run(folder, verify, ['verify', './tokens.service'], {
        allowFailure: true,
      });
      const complaints = stderr.split('\n').filter((line) => line.includes('tokens.service'));
      if (status !== 0 || complaints.length > 0) throw new Error(`systemd-analyze verify:\n${stderr}`);
      return 'checked by systemd-analyze verify';
    },
  },
  {
    name: `Next.js ${versions.packages.next}, standalone`,
    quick: true,
    async run() {
      const { folder, status, stdout, stderr } = await nextApp({});
      if (status !== 0) throw new Error(`next build:\n${stdout}\n${stderr}`);
      await serve(standalone(folder), toolNode(), ['server.js'], {
        url: '/tokens',
        endsWith: [0, 143, 'SIGTERM'],
      });
    },
  },
  {
    name: `Next.js ${versions.packages.next}, bundled`,
    async run() {
      const config = "export default { output: 'standalone', outputFileTracingRoot: import.meta.dirname };\n";
      const { status, stdout, stderr } = await nextApp({ 'next.config.mjs': config });
      if (status === 0 || !/ERR_BUNDLED/.test(stdout + stderr))
        throw new Error(`next build:\n${stdout}\n${stderr}`);
      return 'the build fails with the advice';
    },
  },
  {
    name: 'Lambda handler',
    quick: true,
    async run() {
      const call =
        "const { handler } = await import('./handler.mjs'); console.log('tokens ' + (await handler({})).body);";
      const folder = await project('lambda', { files: pageFiles('handler.mjs') });
      await demandTokens((await node(folder, ['--input-type=module', '--eval', call])).stdout);
    },
  },
  {
    name: `server on Bun ${versions.bun}`,
    async run() {
      const folder = await project('bun', { files: pageFiles('server.mjs') });
      await serve(folder, await bun(), ['server.mjs']);
    },
  },
  {
    name: `server on Deno ${versions.deno}, with the page's permissions`,
    quick: true,
    async run() {
      const folder = await project('deno', { files: pageFiles('server.mjs') });
      const [command, ...args] = pageCommand('deno run');
      await serve(folder, await deno(), [command, '--no-prompt', ...args]);
    },
  },
  ...versions.nodes.map((version) => ({
    name: `node --permission, Node ${version}`,
    quick: version === versions.node,
    async run() {
      const folder = await project('permission', { files: pageFiles('server.mjs') });
      const major = Number(version.split('.')[0]);
      const [flag, ...rest] = pageCommand('node --permission').map((word) => word.replace('/app', folder));
      const net = major >= 25 ? ['--allow-net'] : [];
      const first = major === 20 ? '--experimental-permission' : flag;
      await serve(folder, toolNode(version), [first, ...net, ...rest]);
    },
  })),
  {
    name: 'Docker',
    async run() {
      const available = await run('/', 'docker', ['info'], { allowFailure: true, seconds: 20 }).catch(() => ({
        status: 1,
      }));
      if (available.status !== 0) throw new Skip('no Docker engine here');
      const folder = await project('docker', {
        files: pageFiles('Dockerfile', '.dockerignore', 'server.mjs'),
      });
      mkdirSync(path.join(folder, 'packed'), { recursive: true });
      await run(folder, 'docker', ['build', '.'], { seconds: 600 });
    },
  },
];
