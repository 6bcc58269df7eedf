/** Projects of the matrix: temporary folders that use the packed packages with one tool, each command bounded in time. */
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensureNode } from '../../scripts/nodes.mjs';
import { packagesFolder } from '../../scripts/npm-pack.mjs';
import { npmCommand, SetupError } from '../../scripts/tools.mjs';

export const versions = JSON.parse(readFileSync(new URL('versions.json', import.meta.url), 'utf8'));

/** A case that cannot run here; the message is the reason. */
export class Skip extends Error {}

/** The names and exact versions of packages, as npm's arguments. */
export const exact = (...names) => names.map((name) => `${name}@${versions.packages[name]}`);

/** The work of every program: prints the tokens of one seeded model as JSON. */
export const USE = `manualSeed(0);
const model = new TokenLearner({ dim: 8 });
model.forward(Tensor.ones([1, 8, 4, 4])).then((tokens) => {
  console.log('tokens ' + JSON.stringify(Array.from(tokens.data)));
});
`;
export const IMPORT = `import { manualSeed, Tensor, TokenLearner } from 'tokenlearner';\n`;
export const REQUIRE = `const { manualSeed, Tensor, TokenLearner } = require('tokenlearner');\n`;

let folders;

/** A new folder under one that {@link removable} names. */
export function newFolder(name) {
  folders ??= mkdtempSync(path.join(tmpdir(), 'tokenlearner-matrix-'));
  const folder = mkdtempSync(path.join(folders, `${name.replaceAll(/\W+/g, '-')}-`));
  return folder;
}

export const removable = () => folders;

function packed(pattern) {
  const name = existsSync(packagesFolder) && readdirSync(packagesFolder).find((each) => pattern.test(each));
  if (!name)
    throw new SetupError(`${packagesFolder} has no packed packages: node scripts/pack.mjs makes them`);
  return path.join(packagesFolder, name);
}

export const mainPackage = () => packed(/^tokenlearner-\d.*\.tgz$/);
export const serverPackage = () => packed(/^tokenlearner-server-.*\.tgz$/);
export const libtorchPackage = () => packed(/^tokenlearner-libtorch-cpu-.*\.tgz$/);

/**
 * Runs a program and returns {stdout, stderr, status}. It is killed, with its children, after `seconds`. Throws with its output unless it
 * ends with 0, or `allowFailure` is set.
 */
export function run(cwd, command, args, { seconds = 300, env = {}, allowFailure = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...cleanEnvironment(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let [stdout, stderr, late] = ['', '', false];
    child.stdout.on('data', (text) => (stdout += text));
    child.stderr.on('data', (text) => (stderr += text));
    const timer = setTimeout(() => {
      late = true;
      process.kill(-child.pid, 'SIGKILL');
    }, seconds * 1000);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (status, signal) => {
      clearTimeout(timer);
      if (status === 0 || (allowFailure && !late)) return resolve({ stdout, stderr, status });
      const end = late ? `did not end within ${seconds} s` : `ended with ${signal ?? status}`;
      reject(new Error(`${[command, ...args].join(' ')} ${end}\n${stdout}\n${stderr}`));
    });
  });
}

/** This process's environment without what `npm run`, jest and CI put into it: tools behave otherwise under them. */
export function cleanEnvironment() {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|INIT_CWD$|NODE_OPTIONS$|JEST|CI$|TOKENLEARNER_)/i.test(name),
  );
  const off = { NEXT_TELEMETRY_DISABLED: '1', npm_config_update_notifier: 'false', NO_COLOR: '1' };
  return { ...Object.fromEntries(kept), ...off };
}

/** The Node that runs a tool; its folder comes first in PATH. */
export const toolNode = (version = versions.node) => ensureNode(version);
const onPath = (program) => ({ PATH: `${path.dirname(program)}${path.delimiter}${process.env.PATH}` });

/** Runs a JavaScript file under a version of Node. */
export function node(cwd, args, { version, env, ...options } = {}) {
  const program = toolNode(version);
  return run(cwd, program, args, { ...options, env: { ...onPath(program), ...env } });
}

/** The file of a tool in a project's node_modules. */
export const tool = (folder, file) => path.join(folder, 'node_modules', file);

/** A project of files: name -> text; objects become JSON. */
export function write(folder, files) {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    const text = typeof content === 'string' ? content : `${JSON.stringify(content, null, 2)}\n`;
    writeFileSync(path.join(folder, name), text);
  }
  return folder;
}

/** npm's install of packages that are not ours. Skips where they cannot be had. */
export async function npmInstall(folder, names, { seconds = 600 } = {}) {
  const { command, first } = npmCommand();
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--save-exact', '--loglevel=error'];
  try {
    await run(folder, command, [...first, 'install', ...options, ...names], { seconds });
  } catch (error) {
    const reason = /No matching version[^\n]*|(?:ENOTFOUND|EAI_AGAIN|ECONN\w+|ETIMEDOUT|E40[34])\b/.exec(
      error.message,
    );
    throw reason ? new Skip(`${names.join(' ')} cannot be fetched: ${reason[0]}`) : error;
  }
}

/** A file of a package from npm, installed in a folder of its own. */
export async function fromNpm(name, file) {
  const folder = write(newFolder(name), { 'package.json': { private: true } });
  await npmInstall(folder, [name]);
  return tool(folder, file);
}

export const bun = () => fromNpm(`@oven/bun-linux-x64@${versions.bun}`, '@oven/bun-linux-x64/bin/bun');
export const deno = () => fromNpm(`@deno/linux-x64-glibc@${versions.deno}`, '@deno/linux-x64-glibc/deno');

let small;

/** The small install, `npm install --omit=optional tokenlearner`, made once and copied: a project's folder with `files` and `tools`. */
export async function project(name, { files = {}, tools = [] } = {}) {
  small ??= installSmall();
  const folder = newFolder(name);
  write(folder, { 'package.json': { name: 'project', private: true }, ...files });
  if (tools.length > 0) await npmInstall(folder, tools);
  const own = tool(folder, 'tokenlearner');
  cpSync(tool(await small, 'tokenlearner'), own, { recursive: true });
  // What it depends on lies in it, so that tools keep their own versions of the same packages.
  cpSync(tool(await small, '.'), tool(folder, 'tokenlearner/node_modules'), {
    recursive: true,
    filter: (source) => !/node_modules.(tokenlearner$|\.)/.test(source),
  });
  return folder;
}

async function installSmall() {
  const folder = write(newFolder('small'), { 'package.json': { name: 'small', private: true } });
  await npmInstall(folder, ['--omit=optional', mainPackage()]);
  return folder;
}

let reference;

/** The tokens that plain Node computes: every case must print the same. */
export async function referenceTokens() {
  reference ??= (async () => {
    const folder = await project('reference', { files: { 'app.cjs': REQUIRE + USE } });
    return tokensIn((await run(folder, process.execPath, ['app.cjs'])).stdout);
  })();
  return reference;
}

function tokensIn(text) {
  const line = /tokens (\[[^\]]*\])/.exec(text)?.[1];
  if (line === undefined) throw new Error(`No tokens in:\n${text}`);
  return line;
}

/** Throws unless a program's output has the tokens that plain Node computes. */
export async function demandTokens(text) {
  const [found, expected] = [tokensIn(text), await referenceTokens()];
  if (found !== expected) throw new Error(`Other tokens than plain Node's:\n${found}\n${expected}`);
}
