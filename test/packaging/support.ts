/** Projects that use the packed packages as a user does: without the network, a compiler, Python, or this checkout's cache. */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export const root = path.resolve(__dirname, '..', '..');
const packages = path.join(root, 'build', 'packages');
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
  version: string;
  dependencies: Record<string, string>;
};

function packed(prefix: string): string {
  const names = existsSync(packages) ? readdirSync(packages) : [];
  const name = names.find((each) => each.startsWith(prefix) && each.endsWith('.tgz'));
  if (name === undefined)
    throw new Error(`There is no ${prefix}*.tgz in ${packages}: run npm run test:packaging`);
  return path.join(packages, name);
}

/** The packed main package. */
export const mainPackage = (): string => packed(`tokenlearner-${manifest.version}`);

/** The packed package with libtorch. */
export const libtorchPackage = (): string => packed('tokenlearner-libtorch-cpu-');

/** A new folder, removed after the tests of the file. Its name has spaces and letters that are not ASCII. */
export function projectFolder(): string {
  const parent = mkdtempSync(path.join(tmpdir(), 'tokenlearner-packaging-'));
  afterAll(() => {
    rmSync(parent, { recursive: true, force: true });
  });
  const folder = path.join(parent, 'Projekt für später ✓');
  mkdirSync(folder);
  return folder;
}

/** An environment with nothing to fall back to: no network, no PATH but Node's, no cache, no settings of this machine. */
export function bareEnvironment(project: string, more: Record<string, string> = {}): Record<string, string> {
  const nowhere = 'http://127.0.0.1:9';
  const home = path.join(path.dirname(project), 'home');
  mkdirSync(home, { recursive: true });
  return {
    PATH: path.dirname(process.execPath),
    HOME: home,
    TMPDIR: tmpdir(),
    HTTP_PROXY: nowhere,
    HTTPS_PROXY: nowhere,
    npm_config_registry: nowhere,
    npm_config_offline: 'true',
    npm_config_ignore_scripts: 'true',
    npm_config_cache: path.join(home, 'npm-cache'),
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_update_notifier: 'false',
    ...more,
  };
}

export interface Outcome {
  status: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
}

/** True if a process without any network interface can be made here. */
const cutsNetwork = spawnSync('unshare', ['-rn', 'true']).status === 0;

/** Runs Node in a project, with the network cut where the system lets us. */
export function node(project: string, args: readonly string[], env: Record<string, string> = {}): Outcome {
  const command = cutsNetwork ? ['/usr/bin/unshare', '-rn', process.execPath] : [process.execPath];
  const [program = '', ...first] = command.filter((each) => each !== '/usr/bin/unshare' || existsSync(each));
  const result = spawnSync(program, [...first, ...args], {
    cwd: project,
    env: bareEnvironment(project, env),
    encoding: 'utf8',
    timeout: 120_000,
  });
  const { status, signal, stdout, stderr } = result;
  return { status, signal, stdout, stderr };
}

/** Runs Node and gives its output; throws what it said when it fails. */
export function mustRun(project: string, args: readonly string[], env: Record<string, string> = {}): string {
  const { status, signal, stdout, stderr } = node(project, args, env);
  if (status !== 0)
    throw new Error(`${args.join(' ')} ended with ${signal ?? status ?? '?'}:\n${stdout}\n${stderr}`);
  return stdout;
}

/** Runs a script and parses what it prints. */
export function evaluate(
  project: string,
  script: string,
  options: readonly string[] = [],
  env: Record<string, string> = {},
): unknown {
  return JSON.parse(mustRun(project, [...options, '--eval', script], env));
}

/** npm's own program, which runs without a shell. */
function npmProgram(): string {
  const own = process.env.npm_execpath;
  if (own?.endsWith('npm-cli.js') === true) return own;
  const prefix = path.dirname(path.dirname(process.execPath));
  return path.join(prefix, 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js');
}

/** Packs an installed package, so that a project gets it without a registry. */
function packInstalled(name: string, target: string): string {
  const folder = path.join(root, 'node_modules', name);
  const result = spawnSync(
    process.execPath,
    [npmProgram(), 'pack', '--json', '--ignore-scripts', '--pack-destination', target, folder],
    { encoding: 'utf8' },
  );
  const [report] = JSON.parse(result.stdout) as { filename: string }[];
  return path.join(target, report?.filename ?? '');
}

/** The packages that ours depends on, and theirs: name -> packed file. */
export function packDependencies(project: string): Record<string, string> {
  const target = path.join(path.dirname(project), 'dependencies');
  mkdirSync(target, { recursive: true });
  const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dependencies?: Record<string, string> }>;
  };
  const files: Record<string, string> = {};
  const visit = (name: string): void => {
    if (name in files) return;
    files[name] = packInstalled(name, target);
    Object.keys(lock.packages[`node_modules/${name}`]?.dependencies ?? {}).forEach(visit);
  };
  Object.keys(manifest.dependencies).forEach(visit);
  return files;
}

/** `npm install` of the two packages; what they depend on comes from files as well. */
export function installWithNpm(project: string): void {
  writeFileSync(path.join(project, 'package.json'), '{ "name": "project", "private": true }\n');
  const files = [mainPackage(), libtorchPackage(), ...Object.values(packDependencies(project))];
  mustRun(project, [npmProgram(), 'install', ...files]);
}

/** `pnpm install` of the main package, which brings the others as its own dependencies. */
export function installWithPnpm(project: string): void {
  const files = {
    ...packDependencies(project),
    '@tokenlearner/libtorch-cpu-linux-x64': libtorchPackage(),
  };
  const overrides: Record<string, string> = {};
  for (const [name, file] of Object.entries(files)) overrides[name] = `file:${file}`;
  const dependencies = { tokenlearner: `file:${mainPackage()}` };
  const own = { name: 'project', private: true, dependencies, pnpm: { overrides } };
  writeFileSync(path.join(project, 'package.json'), JSON.stringify(own, null, 2));
  const store = path.join(path.dirname(project), 'store');
  const pnpm = path.join(root, 'node_modules', 'pnpm', 'bin', 'pnpm.cjs');
  mustRun(project, [pnpm, 'install', '--offline', '--ignore-scripts', '--store-dir', store]);
}

/** The main package alone, unpacked, with the checkout's dependencies: in a moment, and without a libtorch. */
export function unpackMain(project: string): string {
  const folder = path.join(project, 'node_modules', 'tokenlearner');
  unpack(mainPackage(), folder);
  for (const name of [...Object.keys(manifest.dependencies), 'pend', 'buffer-crc32']) {
    const installed = path.join(root, 'node_modules', name);
    if (existsSync(installed)) symlinkSync(installed, path.join(project, 'node_modules', name));
  }
  return folder;
}

/** The libtorch of the packed package, unpacked into a folder. */
export function unpackLibtorch(folder: string): void {
  unpack(libtorchPackage(), folder);
}

function unpack(file: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  const { status } = spawnSync('tar', ['-xzf', file, '-C', folder, '--strip-components=1']);
  if (status !== 0) throw new Error(`${file} cannot be unpacked`);
}

/** A second project with the same unpacked package, to be damaged. */
export function copyProject(project: string, name: string): string {
  const copy = path.join(path.dirname(project), name);
  cpSync(project, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
}

/** A file of the README, such as 'first.mjs', whose block begins with that name as a comment. */
export function readmeExample(name = 'first.mjs'): string {
  const text = readFileSync(path.join(root, 'README.md'), 'utf8');
  const code = text
    .split('```js\n')
    .find((block) => block.startsWith(`// ${name}\n`))
    ?.split('```')[0];
  if (code === undefined) throw new Error(`README.md has no block that begins with "// ${name}"`);
  return code;
}
