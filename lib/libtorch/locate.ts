import { createRequire } from 'node:module';
import path from 'node:path';
import { TokenLearnerError } from '../errors';
import { isForbidden, unreadable } from './access';
import { cachedLibtorchFolder, cacheFolder, type Host, listCache, thisHost } from './cache';
import { type FoundLibtorch, inspectLibtorch, type Rejected } from './inspect';
import { manifest } from './manifest';
import { findPythonTorch, type PythonTorch } from './python';
import { remedies } from './remedies';
import { distrustRuntime } from './trust';
import { compareVersions, parseVersion } from './version';

/** Which of the places a libtorch was found in. */
export type LibtorchSource = 'option' | 'environment' | 'process' | 'package' | 'cache' | 'python';

/** A usable libtorch and where it came from. */
export interface LibtorchLocation extends FoundLibtorch {
  source: LibtorchSource;
}

/** What to look for, and where; everything but `path` is for tests. */
export interface LocateOptions {
  /** A libtorch root, its lib folder, or a Python site-packages/torch. Only this is looked at when it is given. */
  path?: string | undefined;
  /** The lib folder of a libtorch that the process has loaded; another one cannot be loaded beside it. */
  mapped?: string | null;
  host?: Host;
  /** Absolute path of an npm package's package.json; null when it is not installed. Throws where it may not be read. */
  resolvePackage?: (name: string) => string | null;
  findPython?: (host: Host) => PythonTorch;
}

interface Miss extends Rejected {
  place: string;
}

type Search = (misses: Miss[]) => LibtorchLocation | null;

/**
 * Finds a libtorch of at least the minimum version, without loading it: the explicit path, `TOKENLEARNER_LIBTORCH`, the
 * one that the process has loaded already, a CUDA build in the user's cache (which someone has put there on purpose), the npm runtime package (which comes by
 * itself), the rest of the cache, an installed Python torch, in this order.
 *
 * @throws TokenLearnerError `ERR_LIBTORCH_NOT_FOUND` with every place looked at, why it did not do, and the commands
 * that mend it; at once when the explicit path or the environment variable names nothing usable.
 * @throws TokenLearnerError `ERR_LIBTORCH_LOAD` where the process has loaded a libtorch that does not do.
 * @throws TokenLearnerError `ERR_LIBTORCH_INCOMPATIBLE` when only a libtorch that is too old was found.
 */
export function locateLibtorch(options: LocateOptions = {}): LibtorchLocation {
  const host = options.host ?? thisHost();
  if (options.path !== undefined) return demand(options.path, 'option', 'the explicit path', host);
  const fromEnvironment = host.env.TOKENLEARNER_LIBTORCH;
  if (fromEnvironment) return demand(fromEnvironment, 'environment', 'TOKENLEARNER_LIBTORCH', host);
  if (options.mapped) return useMapped(options.mapped, options, host);
  return search(options, host);
}

/** The places that nobody named. */
function search(options: LocateOptions, host: Host): LibtorchLocation {
  const misses: Miss[] = [
    { place: 'environment variable TOKENLEARNER_LIBTORCH', reason: 'not set', tooOld: null },
  ];
  const searches: Search[] = [
    searchCachedCuda(host),
    searchPackage(host, options.resolvePackage ?? resolvePackage),
    searchCache(host),
    searchPython(host, options.findPython ?? findPythonTorch),
  ];
  for (const look of searches) {
    const location = look(misses);
    if (location !== null) return location;
  }
  throw notFound(misses, host);
}

/** A libtorch that something else has loaded into the process. */
function useMapped(folder: string, options: LocateOptions, host: Host): LibtorchLocation {
  const inspection = inspectLibtorch(folder, host);
  if (inspection.ok) return { ...inspection.found, source: 'process' };
  const reason = `This process has loaded libtorch from ${folder} already, which cannot be used: ${inspection.reason}`;
  let other: string;
  try {
    other = `the one in ${search(options, host).libDir}`;
  } catch {
    other = 'another one';
  }
  throw new TokenLearnerError('ERR_LIBTORCH_LOAD', `${reason}. It cannot load ${other} beside it.`);
}

/** The name of the optional npm package that carries the CPU libtorch for a platform. */
export function runtimePackage(host: Host): string {
  return `@tokenlearner/libtorch-cpu-${host.platform}-${host.arch}`;
}

/** A place the user named: it must do. */
function demand(folder: string, source: LibtorchSource, place: string, host: Host): LibtorchLocation {
  const inspection = inspectLibtorch(folder, host);
  if (inspection.ok) return { ...inspection.found, source };
  throw new TokenLearnerError(
    inspection.tooOld === null ? 'ERR_LIBTORCH_NOT_FOUND' : 'ERR_LIBTORCH_INCOMPATIBLE',
    `${place} (${folder}) names no usable libtorch: ${inspection.reason}.\n` +
      'Name a libtorch folder, its lib folder, or the torch folder in a Python site-packages.',
  );
}

function searchPackage(host: Host, resolve: (name: string) => string | null): Search {
  return (misses) => {
    const name = runtimePackage(host);
    const place = `npm package ${name}`;
    let file: string | null;
    try {
      file = resolve(name);
    } catch (error) {
      misses.push({ place, reason: unreadable('its folder', error), tooOld: null });
      return null;
    }
    if (file !== null) return tryFolder(path.dirname(file), 'package', place, host, misses);
    misses.push({ place, reason: 'not installed', tooOld: null });
    return null;
  };
}

function searchCachedCuda(host: Host): Search {
  return () => {
    const location = searchCache(host)([]);
    return location?.hasCuda === true ? location : null;
  };
}

function searchCache(host: Host): Search {
  return (misses) => {
    const place = ['cache', cachedLibtorchFolder(host)].join(' ').trim();
    const found: LibtorchLocation[] = [];
    const { folders, reason } = listCache(host);
    for (const folder of folders) {
      const location = tryFolder(folder, 'cache', `cache ${folder}`, host, misses);
      if (location !== null) found.push(location);
    }
    if (folders.length === 0) misses.push({ place, reason: reason ?? 'empty', tooOld: null });
    return found.sort(preferredFirst)[0] ?? null;
  };
}

function searchPython(host: Host, find: (host: Host) => PythonTorch): Search {
  return (misses) => {
    const answer = find(host);
    const place = 'Python torch';
    // A relative answer would be a module of the working directory.
    const isUsable = answer.folder !== null && path.isAbsolute(answer.folder);
    if (isUsable) return tryFolder(answer.folder, 'python', place, host, misses);
    const reason = answer.folder === null ? answer.reason : `${answer.folder} is not an absolute path`;
    misses.push({ place, reason, tooOld: null });
    return null;
  };
}

function tryFolder(
  folder: string,
  source: LibtorchSource,
  place: string,
  host: Host,
  misses: Miss[],
): LibtorchLocation | null {
  const inspection = inspectLibtorch(folder, host);
  if (!inspection.ok) {
    misses.push({ place, reason: inspection.reason, tooOld: inspection.tooOld });
    return null;
  }
  const reason = source === 'cache' ? unfitInCache(folder, inspection.found, host) : null;
  if (reason === null) return { ...inspection.found, source };
  misses.push({ place, reason, tooOld: null });
  return null;
}

function unfitInCache(folder: string, { version, libDir }: FoundLibtorch, host: Host): string | null {
  // A cache folder without its record is an install that did not complete.
  if (version === null) return `${folder} has no runtime.json: its install did not complete`;
  return distrustRuntime(cacheFolder(host) ?? folder, libDir);
}

/** CUDA builds before others, and of each the newest. */
function preferredFirst(a: LibtorchLocation, b: LibtorchLocation): number {
  const [first, second] = [parseVersion(a.version ?? ''), parseVersion(b.version ?? '')];
  const byVersion = first === null || second === null ? 0 : compareVersions(second, first);
  return Number(b.hasCuda) - Number(a.hasCuda) || byVersion;
}

function notFound(misses: Miss[], host: Host): TokenLearnerError {
  const old = misses.find((miss) => miss.tooOld !== null);
  const headline =
    old === undefined
      ? `No libtorch was found (${manifest.minimum} or later is needed).`
      : `libtorch ${old.tooOld ?? ''} was found, and ${manifest.minimum} or later is needed.`;
  const places = misses.map(({ place, reason }) => `  - ${place}: ${reason}`);
  const commands = remedies(host).map((remedy) => `  ${remedy}`);
  return new TokenLearnerError(
    old === undefined ? 'ERR_LIBTORCH_NOT_FOUND' : 'ERR_LIBTORCH_INCOMPATIBLE',
    [headline, 'Looked at:', ...places, 'Any one of these mends it:', ...commands].join('\n'),
  );
}

function resolvePackage(name: string): string | null {
  try {
    return createRequire(__filename).resolve(`${name}/package.json`);
  } catch (error) {
    if (isForbidden(error)) throw error;
    return null;
  }
}
