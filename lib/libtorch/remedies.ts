import path from 'node:path';
import { exists } from './access';
import type { Host } from './cache';
import { isMusl } from './libc';
import { manifest } from './manifest';

/** What to do on Alpine and the like. */
export const MUSL_REMEDY =
  'use a distribution with glibc, such as Debian: this one has musl, and there is no libtorch for musl';

/** Commands that install or name a libtorch on this machine, the simplest first. */
export function remedies(host: Host): string[] {
  if (hasMusl(host)) return [MUSL_REMEDY];
  const python = host.platform === 'win32' ? 'python' : 'python3';
  const entry = manifest.variants.cpu?.[`${host.platform}-${host.arch}`];
  const commands: string[] = [];
  if (isCheckout()) commands.push('npm run setup');
  else if (entry !== undefined) commands.push('npx tokenlearner runtime install');
  if (entry !== undefined) {
    commands.push(`${python} -m pip install "${entry.pip.requirement}" --extra-index-url ${entry.pip.index}`);
  }
  const assignment = host.platform === 'win32' ? 'set' : 'export';
  commands.push(
    `${assignment} TOKENLEARNER_LIBTORCH=<folder of a libtorch, or of an installed Python torch>`,
  );
  return commands;
}

/** True if this machine, which `host` describes, has musl. */
export function hasMusl({ platform }: Host): boolean {
  return platform === 'linux' && isMusl();
}

/** The installed package has no scripts folder. */
function isCheckout(): boolean {
  return exists(path.join(__dirname, '..', '..', 'scripts', 'setup.mjs'));
}
