import { Command } from 'commander';
import { TokenLearnerError } from '../errors';
import { type Host, listCache, runtimeFolder, thisHost } from '../libtorch/cache';
import { inspectInstalled, installLibtorch } from '../libtorch/install';
import { leftoverBytes } from '../libtorch/leftovers';
import { locateLibtorch } from '../libtorch/locate';
import { entryVersion, manifest, manifestEntry } from '../libtorch/manifest';
import { progressRenderer, type ProgressStream } from '../libtorch/progress';
import { hasMusl, MUSL_REMEDY } from '../libtorch/remedies';
import { listRuntimes, removeCached, removeRuntime, type RuntimeEntry } from '../libtorch/runtimes';
import { fileName } from './options';
import { table } from './table';
import { UsageError } from './usage-error';
import { inWordsOfCommand } from './words';

/** The parts of the process that these commands use. Tests pass their own. */
export interface RuntimeIo {
  host: Host;
  /** Prints results. */
  out: (line: string) => void;
  /** Prints messages. */
  log: (line: string) => void;
  /** The stream for the progress bar. */
  progress: ProgressStream;
}

const processIo = (): RuntimeIo => ({
  host: thisHost(),
  out: (line) => process.stdout.write(`${line}\n`),
  log: (line) => process.stderr.write(`${line}\n`),
  progress: process.stderr,
});

const VARIANTS = Object.keys(manifest.variants).join(', ');

/** The folder that the running process would load; null if there is none. */
function folderInUse(host: Host): string | null {
  try {
    return locateLibtorch({ host }).libDir;
  } catch (error) {
    if (error instanceof TokenLearnerError) return null;
    throw error;
  }
}

function size(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.ceil(bytes / 1e6)} MB`;
}

function row({ variant, version, folder, installed, size: bytes, verified }: RuntimeEntry): string[] {
  const checked = { sha256: 'sha256 pinned', pip: 'by pip only: no hash is known' };
  const state = installed
    ? String(folder)
    : verified === null
      ? `damaged: ${String(folder)}`
      : 'not installed';
  return [variant, version, size(bytes), verified === null ? '-' : checked[verified], state];
}

function list(io: RuntimeIo, json: boolean): void {
  const hasNone = hasMusl(io.host);
  const runtimes = listRuntimes(io.host).filter(
    ({ installed, verified }) => installed || verified === null || !hasNone,
  );
  const inUse = folderInUse(io.host);
  const { reason } = listCache(io.host);
  const leftovers = leftoverBytes(io.host);
  if (json) {
    io.out(JSON.stringify({ runtimes, inUse, leftovers }, null, 2));
    return;
  }
  io.out(table([['variant', 'version', 'size', 'checked', 'where'], ...runtimes.map(row)]));
  io.out('');
  io.out(inUse === null ? 'In use: none' : `In use: ${inUse}`);
  if (reason !== null) io.out(`Cache: ${reason}`);
  if (leftovers > 0)
    io.out(
      `Left by interrupted installs, or in use by one: ${size(leftovers)} (runtime remove --all deletes it)`,
    );
}

interface InstallChoice {
  variant: string;
  fromFile?: string;
  dir?: string;
}

/** A word of a POSIX shell. */
function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

async function install(io: RuntimeIo, { variant, fromFile, dir }: InstallChoice): Promise<void> {
  if (hasMusl(io.host))
    throw new TokenLearnerError('ERR_LIBTORCH_INSTALL', `Nothing is installed: ${MUSL_REMEDY}`);
  const found = await installLibtorch({
    variant,
    fromFile,
    folder: dir,
    host: io.host,
    log: io.log,
    onProgress: progressRenderer(io.progress),
  });
  io.out(found.libDir);
  if (folderInUse(io.host) === found.libDir) return;
  const assignment = io.host.platform === 'win32' ? 'set' : 'export';
  const quoted = io.host.platform !== 'win32' && /[^\w/.@+-]/.test(found.libDir);
  io.log(
    `To use it: ${assignment} TOKENLEARNER_LIBTORCH=${quoted ? shellQuoted(found.libDir) : found.libDir}`,
  );
}

interface RemoveChoice {
  variant?: string;
  all: boolean;
  dir?: string;
}

async function remove(io: RuntimeIo, { variant, all, dir }: RemoveChoice): Promise<void> {
  if ([variant !== undefined, all, dir !== undefined].filter(Boolean).length !== 1) {
    throw new UsageError('Expected one of --variant, --dir and --all');
  }
  const { host, log } = io;
  if (dir !== undefined) {
    await removeRuntime(dir, { host, log });
    log(`Removed ${dir}`);
    return;
  }
  const removed = await removeCached(variant ?? null, { host, log });
  if (removed.length === 0) log('There is nothing to remove.');
}

function showPath(io: RuntimeIo, variant: string | undefined): void {
  if (variant === undefined) {
    io.out(locateLibtorch({ host: io.host }).libDir);
    return;
  }
  const entry = manifestEntry(variant, `${io.host.platform}-${io.host.arch}`);
  const folder = runtimeFolder(io.host, entryVersion(entry), variant);
  const found = folder && inspectInstalled(folder, io.host);
  if (!found) {
    const remedy = hasMusl(io.host)
      ? `: ${MUSL_REMEDY}`
      : `. Install it with: npx tokenlearner runtime install --variant ${variant}`;
    throw new TokenLearnerError(
      'ERR_LIBTORCH_NOT_FOUND',
      `There is no ${variant} libtorch in ${folder ?? 'a cache of this user'}${remedy}`,
    );
  }
  io.out(found.libDir);
}

/** Runs an action; its errors are in the words of the command line. */
async function inOwnWords(action: () => void | Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    throw inWordsOfCommand(error, ['variant']);
  }
}

/** `tokenlearner runtime`: manages the libtorch in the user's cache. */
export function runtimeCommand(io: RuntimeIo = processIo()): Command {
  const root = new Command('runtime').description('List, install and remove libtorch, CPU or CUDA.');
  root
    .command('list')
    .description('List what can be installed, what is installed, and which libtorch is in use.')
    .option('--json', 'print JSON', false)
    .action(({ json }: { json: boolean }) => {
      list(io, json);
    });
  root
    .command('install')
    .description('Install a libtorch into the cache of this user, and print its lib folder.')
    .option('--variant <variant>', VARIANTS, 'cpu')
    .option('--from-file <file>', 'a wheel or archive, or a folder with the wheels of a CUDA build', fileName)
    .option(
      '--dir <folder>',
      'install into this folder instead (for images; name it in TOKENLEARNER_LIBTORCH)',
      fileName,
    )
    .action((choice: InstallChoice) => inOwnWords(() => install(io, choice)));
  root
    .command('remove')
    .description('Delete what was installed.')
    .option('--variant <variant>', 'every version of it in the cache')
    .option('--dir <folder>', 'the one in this folder', fileName)
    .option('--all', 'everything in the cache, with what interrupted installs left', false)
    .action((choice: RemoveChoice) => inOwnWords(() => remove(io, choice)));
  root
    .command('path')
    .description('Print the lib folder of the libtorch in use.')
    .option('--variant <variant>', 'of this one in the cache instead')
    .action(({ variant }: { variant?: string }) =>
      inOwnWords(() => {
        showPath(io, variant);
      }),
    );
  return root;
}
