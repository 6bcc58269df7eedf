import { existsSync } from 'node:fs';
import path from 'node:path';
import { glibcVersion } from './libc';

interface NodeGypBuild {
  resolve: (root: string) => string;
}

/**
 * What node-gyp-build would take from the environment: another folder to load from, another platform's binary. `LIBC` is
 * told, since it would look for it outside the package, which Node's permission model may forbid.
 */
function environment(): Record<string, string | undefined> {
  return {
    TOKENLEARNER_PREBUILD: undefined,
    npm_config_arch: undefined,
    npm_config_platform: undefined,
    LIBC: libc(),
  };
}

function libc(): string {
  return process.env.LIBC ?? (process.platform === 'linux' && glibcVersion() === null ? 'musl' : 'glibc');
}

/** Runs `use` with variables set, or absent where undefined. */
function withEnvironment<T>(variables: Record<string, string | undefined>, use: () => T): T {
  const put = (name: string, value: string | undefined): void => {
    if (value === undefined) Reflect.deleteProperty(process.env, name);
    else process.env[name] = value;
  };
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  for (const [name, value] of Object.entries(variables)) put(name, value);
  try {
    return use();
  } finally {
    for (const [name, value] of before) put(name, value);
  }
}

/**
 * The addon's file, as node-gyp-build finds it: what was built in a checkout, or the prebuilt one for this platform
 * (`PREBUILDS_ONLY` takes that one alone). Never one outside the package's folder, whatever the environment says.
 *
 * @param root - the package's folder.
 * @returns its absolute path; null when there is none.
 * @throws Node's own error where its permission model forbids to look.
 */
export function findAddon(root: string): string | null {
  const nodeGypBuild = withEnvironment(environment(), loadNodeGypBuild);
  if (nodeGypBuild === undefined) return prebuilt(root);
  let file: string;
  try {
    file = withEnvironment(environment(), () => nodeGypBuild.resolve(root));
  } catch {
    return null;
  }
  return path.relative(root, file).startsWith('..') ? null : file;
}

/** Undefined where Node's permission model forbids to read it: a process may be granted this package's folder alone. */
function loadNodeGypBuild(): NodeGypBuild | undefined {
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- it reads the environment when it is loaded
    return require('node-gyp-build') as NodeGypBuild;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_ACCESS_DENIED') return undefined;
    throw error;
  }
}

/** The prebuilt addon, by the name that prebuildify gives it. */
function prebuilt(root: string): string | null {
  const tag = process.platform === 'linux' ? `.${libc()}` : '';
  const folder = path.join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  const file = path.join(folder, `tokenlearner${tag}.node`);
  return existsSync(file) ? file : null;
}
