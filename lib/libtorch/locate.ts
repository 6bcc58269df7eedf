import { createRequire } from 'node:module';
import path from 'node:path';
import { TokenLearnerError } from '../errors';
import requirements from '../requirements.json';
import { isForbidden, unreadable } from './access';
import { cachedLibtorchFolder, cacheFolder, type Host, listCache, thisHost } from './cache';
import { type FoundLibtorch, inspectLibtorch, type Rejected } from './inspect';
import { findPythonTorch, type PythonTorch } from './python';
import { remedies } from './remedies';
import { distrustRuntime } from './trust';
import { compareVersions, parseVersion } from './version';

/** The place where a libtorch was found. */
export type LibtorchSource = 'option' | 'environment' | 'process' | 'package' | 'cache' | 'python';

/** A usable libtorch and its source. */
export interface LibtorchLocation extends FoundLibtorch {
  source: LibtorchSource;
}

/** Where to look. Everything except `path` is for tests. */
export interface LocateOptions {
  /** A libtorch root, its lib folder, or a Python site-packages/torch. If given, nothing else is searched. */
  path?: string | undefined;
  /** The lib folder of a libtorch that the process has already loaded. A second one cannot be loaded beside it. */
  mapped?: string | null;
  host?: Host;
  /** Returns the absolute path of an npm package's package.json; null if it is not installed. Throws if it may not be read. */
  resolvePackage?: (name: string) => string | null;
  findPython?: (host: Host) => PythonTorch;
}

interface Miss extends Rejected {
  place: string;
}

type Search = (misses: Miss[]) => LibtorchLocation | null;

/**
 * Finds a libtorch of at least the minimum version, without loading it. The order is: the explicit path,
 * `TOKENLEARNER_LIBTORCH`, the one that the process has already loaded, a CUDA build in the user's cache (which somebody put
 * there on purpose), the npm runtime package (which is installed by default), the rest of the cache, an installed Python torch.
 *
 * @throws TokenLearnerError `ERR_LIBTORCH_NOT_FOUND` with every place that was searched, the reason why it was rejected, and
 * commands that fix it; immediately if the explicit path or the environment variable names nothing usable.
 * @throws TokenLearnerError `ERR_LIBTORCH_LOAD` if the process has loaded a libtorch that is not usable.
 * @throws TokenLearnerError `ERR_LIBTORCH_INCOMPATIBLE` if it found only a libtorch that is too old.
 */
export function locateLibtorch(options: LocateOptions = {}): LibtorchLocation {
  const host = options.host ?? thisHost();
  if (options.path !== undefined) return demand(options.path, 'option', 'the explicit path', host);
  const fromEnvironment = host.env.TOKENLEARNER_LIBTORCH;
  if (fromEnvironment) return demand(fromEnvironment, 'environment', 'TOKENLEARNER_LIBTORCH', host);
  if (options.mapped) return useMapped(options.mapped, options, host);
  return search(options, host);
}

/** Searches the default places. */
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

/** Uses a libtorch that other code has loaded into the process. */
function useMapped(folder: string, options: LocateOptions, host: Host): LibtorchLocation {
  const inspection = inspectLibtorch(folder, host);
  if (inspection.ok) return { ...inspection.found, source: 'process' };
  const reason = `This process has already loaded libtorch from ${folder}, which cannot be used: ${inspection.reason}`;
  let other: string;
  try {
    other = `the one in ${search(options, host).libDir}`;
  } catch {
    other = 'another one';
  }
  throw new TokenLearnerError('ERR_LIBTORCH_LOAD', `${reason}. It cannot load ${other} beside it.`);
}

/** The name of the optional npm package with the CPU libtorch for a platform. */
export function runtimePackage(host: Host): string {
  return `@tokenlearner/libtorch-cpu-${host.platform}-${host.arch}`;
}

/** Inspects a place that the user named. Throws if it holds no usable libtorch. */
function demand(folder: string, source: LibtorchSource, place: string, host: Host): LibtorchLocation {
  const inspection = inspectLibtorch(folder, host);
  if (inspection.ok) return { ...inspection.found, source };
  throw new TokenLearnerError(
    inspection.tooOld === null ? 'ERR_LIBTORCH_NOT_FOUND' : 'ERR_LIBTORCH_INCOMPATIBLE',
    `${place} (${folder}) is not a usable libtorch: ${inspection.reason}.\n` +
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
    // A relative path would be a module of the working directory.
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
  // A cache folder without its record is an incomplete install.
  if (version === null) return `${folder} has no runtime.json: its install did not complete`;
  return distrustRuntime(cacheFolder(host) ?? folder, libDir);
}

/** Sorts CUDA builds before others, then newer versions before older ones. */
function preferredFirst(a: LibtorchLocation, b: LibtorchLocation): number {
  const [first, second] = [parseVersion(a.version ?? ''), parseVersion(b.version ?? '')];
  const byVersion = first === null || second === null ? 0 : compareVersions(second, first);
  return Number(b.hasCuda) - Number(a.hasCuda) || byVersion;
}

function notFound(misses: Miss[], host: Host): TokenLearnerError {
  const old = misses.find((miss) => miss.tooOld !== null);
  const headline =
    old === undefined
      ? `No libtorch was found (${requirements.libtorch} or later is required).`
      : `libtorch ${old.tooOld ?? ''} was found, and ${requirements.libtorch} or later is required.`;
  const places = misses.map(({ place, reason }) => `  - ${place}: ${reason}`);
  const commands = remedies(host).map((remedy) => `  ${remedy}`);
  return new TokenLearnerError(
    old === undefined ? 'ERR_LIBTORCH_NOT_FOUND' : 'ERR_LIBTORCH_INCOMPATIBLE',
    [headline, 'Searched:', ...places, 'Any one of these fixes it:', ...commands].join('\n'),
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
