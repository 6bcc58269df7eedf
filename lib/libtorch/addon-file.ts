import { existsSync } from 'node:fs';
import path from 'node:path';
import { isMusl } from './libc';
import './traced';

interface NodeGypBuild {
  resolve: (root: string) => string;
}

/**
 * The variables that control node-gyp-build. They could name another folder or another platform's binary, so they are cleared.
 * `LIBC` is set, since node-gyp-build would detect it outside the package, which Node's permission model may forbid.
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
  return process.env.LIBC ?? (isMusl() ? 'musl' : 'glibc');
}

/** Runs `use` with environment variables set, or removed if undefined. */
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
 * Finds the addon's file with node-gyp-build: the build of a checkout, or the prebuilt binary for this platform
 * (`PREBUILDS_ONLY` allows only that one). It is never outside the package's folder, whatever the environment says.
 *
 * @param root - the package's folder.
 * @returns its absolute path; null if there is none.
 * @throws Node's own error if its permission model forbids looking.
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

/** Undefined if Node's permission model forbids reading it: a process may be granted only this package's folder. */
function loadNodeGypBuild(): NodeGypBuild | undefined {
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- it reads the environment when it is loaded
    return require('node-gyp-build') as NodeGypBuild;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_ACCESS_DENIED') return undefined;
    throw error;
  }
}

/** Finds the prebuilt addon by prebuildify's naming. */
function prebuilt(root: string): string | null {
  const tag = process.platform === 'linux' ? `.${libc()}` : '';
  const folder = path.join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  const file = path.join(folder, `tokenlearner${tag}.node`);
  return existsSync(file) ? file : null;
}
