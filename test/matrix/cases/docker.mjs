/** The commands of deploy/docker without Docker: what RUN installs, ENTRYPOINT and CMD serve, and HEALTHCHECK sees. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { root } from '../../../scripts/tools.mjs';
import {
  cleanEnvironment,
  mainPackage,
  newFolder,
  npmInstall,
  run,
  serverPackage,
  toolNode,
  write,
} from '../support.mjs';

/** The values of an instruction, in the order of the file. */
function instructions(name, keyword) {
  const text = readFileSync(path.join(root, 'deploy', 'docker', name), 'utf8').replaceAll(/\\\n\s*/g, '');
  return [...text.matchAll(new RegExp(`^${keyword} (.*)$`, 'gm'))].map(([, value]) => value);
}

/** What RUN installs, with packed files for the packages. */
async function install(name) {
  const [command] = instructions(name, 'RUN').filter((each) => each.includes('npm install'));
  const words = command.slice(command.indexOf('npm install')).split(' ').slice(2);
  if (words.at(-1) !== '${PACKAGES}') throw new Error(`Not the install that is expected: ${command}`);
  const folder = write(newFolder(name), {});
  await npmInstall(folder, [...words.slice(0, -1), mainPackage(), serverPackage()]);
  mkdirSync(path.join(folder, 'models'));
  const make = `const { TokenLearner, saveSafetensors } = require('tokenlearner');
    saveSafetensors('models/model.safetensors', new TokenLearner({ dim: 4, device: 'cpu' }).stateDict());`;
  await run(folder, toolNode(), ['--eval', make]);
  return write(folder, { tokens: 'a-token\n' });
}

/** Starts ENTRYPOINT and CMD. Resolves to the process and its port. */
async function start(name, folder) {
  const [program, ...words] = [...instructions(name, 'ENTRYPOINT'), ...instructions(name, 'CMD')].flatMap(
    JSON.parse,
  );
  if (program !== 'node') throw new Error(`Not node: ${program}`);
  const here = words.map((word) =>
    word
      .replace('/models', path.join(folder, 'models'))
      .replace('/tokens', path.join(folder, 'tokens'))
      .replace(/^0\.0\.0\.0$/, '127.0.0.1')
      .replace(/^cuda$/, 'cpu'),
  );
  const args = [...here, '--http-port', '0', '--grpc-port', '0'];
  const child = spawn(toolNode(), args, {
    cwd: folder,
    env: cleanEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const { msg, httpPort } = JSON.parse(line);
    if (msg !== 'ready') continue;
    child.stdout.resume();
    return { child, httpPort };
  }
  throw new Error('The server ended before it was ready');
}

/** The exit code of HEALTHCHECK. */
async function health(name, folder, port) {
  const [, command] = instructions(name, 'HEALTHCHECK')[0].split(' CMD ');
  const [, flag, script] = JSON.parse(command);
  const here = script.replace(':8000/', `:${port}/`);
  return (await run(folder, toolNode(), [flag, here], { allowFailure: true })).status;
}

const dockerfile = (name) => ({
  name: `the commands of ${name}`,
  quick: name === 'Dockerfile',
  async run() {
    const folder = await install(name);
    const { child, httpPort } = await start(name, folder);
    try {
      if ((await health(name, folder, httpPort)) !== 0)
        throw new Error('A server that is ready is not healthy');
      child.kill('SIGTERM');
      const [status] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode];
      if (status !== 0) throw new Error(`After SIGTERM: ${status}`);
      if ((await health(name, folder, httpPort)) !== 1) throw new Error('No server is healthy');
    } finally {
      child.kill('SIGKILL');
    }
    return 'without Docker: install, serve, health, SIGTERM';
  },
});

export default [dockerfile('Dockerfile'), dockerfile('Dockerfile.cuda')];
