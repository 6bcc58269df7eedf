/** The recipe of docs/installation.md for Node's permission model, run as it stands there. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { node, type Outcome, projectFolder, root, unpackLibtorch, unpackMain } from './support';

const project = projectFolder();
const libtorch = path.join(path.dirname(project), 'libtorch');
const page = readFileSync(path.join(root, 'docs', 'installation.md'), 'utf8');
const FORWARD = `
  const { TokenLearner, Tensor, runtime } = tokenlearner;
  const model = new TokenLearner({ dim: 8, engine: 'grouped-conv' });
  model.forward(Tensor.ones([1, 8, 4, 4])).then((tokens) => {
    const { problem, libtorch } = runtime.info();
    console.log(JSON.stringify({ shape: tokens.shape, problem, source: libtorch.source }));
  });`;
const INFO = `console.log(JSON.stringify(tokenlearner.runtime.info().problem));`;
const WORKS = { shape: [1, 8, 8], problem: null, source: 'environment' };

beforeAll(() => {
  unpackMain(project);
  unpackLibtorch(libtorch);
}, 300_000);

/** The words of the page's command, for this project's folders and this Node. */
function recipe(script: string): { env: Record<string, string>; args: string[] } {
  const command = /```sh\n(TOKENLEARNER_LIBTORCH=\S+ node --permission [\s\S]*?)```/.exec(page)?.[1] ?? '';
  const words = command.replaceAll('\\\n', ' ').trim().split(/\s+/);
  const here = words.map((word) =>
    word
      .replace(/(^|=)\/libtorch$/, `$1${libtorch}`)
      .replace(/(^|=)\/app\//, `$1${project}/`)
      .replace(/server\.js$/, script),
  );
  const [name = '', value = ''] = (here[0] ?? '').split('=');
  return { env: { [name]: value }, args: here.slice(2).map(spellFlag) };
}

function spellFlag(word: string): string {
  const isOld = !process.allowedNodeEnvironmentFlags.has('--permission');
  if (word !== '--permission' || !isOld) return word;
  expect(page).toContain('Node 20 calls the first flag `--experimental-permission`');
  return '--experimental-permission';
}

/** Runs a program with the page's grants; `change` takes some of them away. */
function run(
  name: string,
  code: string,
  change = (words: string[]) => words,
  env?: Record<string, string>,
): Outcome {
  const load = name.endsWith('.mjs')
    ? "import * as tokenlearner from 'tokenlearner';"
    : "const tokenlearner = require('tokenlearner');";
  writeFileSync(path.join(project, name), load + code);
  const documented = recipe(name);
  return node(project, change(documented.args), env ?? documented.env);
}

const without = (part: string) => (words: string[]) => words.filter((word) => !word.includes(part));

it.each(['server.js', 'server.mjs'])('is enough for %s', (name) => {
  const { stdout, stderr, status } = run(name, FORWARD);
  // Node warns of --allow-addons itself.
  expect({ status, stderr }).toEqual({ status: 0, stderr: expect.not.stringContaining('Error') as string });
  expect(JSON.parse(stdout)).toEqual(WORKS);
});

it('grants three places and no more', () => {
  const granted = recipe('server.js').args.filter((word) => word.startsWith('--allow-fs-read='));
  expect(granted.map((word) => word.split('=')[1])).toEqual([
    path.join(project, 'node_modules', 'tokenlearner'),
    libtorch,
    path.join(project, 'server.js'),
  ]);
});

it('without addons the error names the flag', () => {
  const { status, stderr } = run('server.js', FORWARD, without('--allow-addons'));
  expect(status).not.toBe(0);
  expect(stderr).toContain('start Node with --allow-addons');
});

it('an addon that may not be read is an error that names the flag', () => {
  const own = path.join(project, 'node_modules', 'tokenlearner');
  const parts = ['dist', 'package.json'].map((name) => `--allow-fs-read=${path.join(own, name)}`);
  const { stdout } = run('info.js', INFO, (words) => [...parts, ...without(`--allow-fs-read=${own}`)(words)]);
  expect(JSON.parse(stdout)).toMatchObject({
    code: 'ERR_ADDON_LOAD',
    message: expect.stringContaining("--allow-fs-read for the package's whole folder") as string,
  });
});

it('a libtorch that may not be read is an error that names the flag', () => {
  const { stdout } = run('info.js', INFO, without(`--allow-fs-read=${libtorch}`));
  expect(JSON.parse(stdout)).toMatchObject({
    code: 'ERR_LIBTORCH_NOT_FOUND',
    message: expect.stringMatching(/may not read .*libtorch: grant it with --allow-fs-read/) as string,
  });
});

it('a cache that may not be listed is told as that, and not as empty', () => {
  const home = path.join(path.dirname(project), 'home with a cache');
  mkdirSync(path.join(home, '.cache', 'tokenlearner', 'libtorch'), { recursive: true });
  const { stdout } = run('info.js', INFO, undefined, { HOME: home });
  const { code, message } = JSON.parse(stdout) as { code: string; message: string };
  expect(code).toBe('ERR_LIBTORCH_NOT_FOUND');
  expect(message).toMatch(
    /cache .*: this process may not read .*--allow-fs-read, or name .*TOKENLEARNER_LIBTORCH/,
  );
  expect(message).toMatch(/Python torch: .*--allow-child-process/);
});
