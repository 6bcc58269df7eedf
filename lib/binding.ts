/**
 * The only file that loads the native addon. Importing this package loads nothing: the first tensor loads the addon. What needs
 * libtorch loads it at its construction: see {@link requireLibtorch}.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { bundledError } from './bundled';
import { type ErrorCode, TokenLearnerError } from './errors';
import { findAddon } from './libtorch/addon-file';
import type { LibtorchLocation } from './libtorch/locate';
import type { NativeBinding, NativeTensor, TensorConstructor } from './native-interface';
import { once } from './once';
import type { Shape } from './shape';

const PACKAGE_ROOT = path.join(__dirname, '..');

/* eslint-disable @typescript-eslint/no-require-imports -- most programs need none of them */
const cache = once(() => require('./libtorch/cache') as typeof import('./libtorch/cache'));
const errors = once(() => require('./libtorch/load-error') as typeof import('./libtorch/load-error'));
const locate = once(() => require('./libtorch/locate') as typeof import('./libtorch/locate'));
/* eslint-enable @typescript-eslint/no-require-imports */

interface Loaded {
  native: NativeBinding;
  path: string;
}

let loaded: Loaded | undefined;
let location: LibtorchLocation | undefined;
let explicitPath: string | undefined;

/**
 * True if this file is not in the package's folder, and so is part of a bundle. Anything could lie in `build/` or `prebuilds/`
 * there: no addon is looked for. A file that may not be read says nothing.
 */
function isBundled(): boolean {
  try {
    const manifest = JSON.parse(readFileSync(path.join(PACKAGE_ROOT, 'package.json'), 'utf8')) as {
      name?: unknown;
    };
    return manifest.name !== 'tokenlearner';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ERR_ACCESS_DENIED';
  }
}

function resolveAddon(): string {
  if (isBundled()) throw bundledError();
  let file: string | null;
  try {
    file = findAddon(PACKAGE_ROOT);
  } catch (cause) {
    throw errors().addonLoadFailed(PACKAGE_ROOT, cause);
  }
  if (file === null) throw errors().addonNotFound();
  return file;
}

/** The sizes and strides of the last tensor. Results come in few shapes, so most share these frozen arrays. */
let latest = {
  sizes: [] as readonly number[],
  shape: Object.freeze([]) as Shape,
  strides: Object.freeze([]) as Shape,
};

function viewOf(sizes: readonly number[]): { shape: Shape; strides: Shape } {
  const { length } = sizes;
  if (length === latest.sizes.length) {
    let i = 0;
    while (i < length && sizes[i] === latest.sizes[i]) i += 1;
    if (i === length) return latest;
  }
  const [shape, strides] = [sizes.slice(0, length / 2), sizes.slice(length / 2)];
  latest = { sizes, shape: Object.freeze(shape), strides: Object.freeze(strides) };
  return latest;
}

const createTensor: TensorConstructor = (id, dtype, device, offset, ...sizes) => {
  const { shape, strides } = viewOf(sizes);
  return { id, dtype, device, shape, strides, offset } as NativeTensor;
};

function load(): Loaded {
  const file = resolveAddon();
  let native: NativeBinding;
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- a .node file cannot be imported
    native = require(file) as NativeBinding;
  } catch (cause) {
    throw errors().addonLoadFailed(file, cause);
  }
  const createError = (code: ErrorCode, message: string): Error => new TokenLearnerError(code, message);
  native.configure(createError, createTensor, (...items) => items, isMainThread);
  warnOfUnknownIsa(native);
  return { native, path: file };
}

/** Warns about an instruction set that is misspelt or that this processor does not have. */
function warnOfUnknownIsa(native: NativeBinding): void {
  const asked = process.env.TOKENLEARNER_CPU_ISA;
  // Asking costs a look at the processor and the system: not at every start.
  if (asked === undefined) return;
  const { isas } = native.cpu();
  if (isas.includes(asked)) return;
  process.emitWarning(
    `Expected one of ${isas.join(', ')} for TOKENLEARNER_CPU_ISA on this processor but received '${asked}'; ` +
      `the fused engine uses ${isas.at(-1) ?? 'baseline'}`,
    { type: 'TokenLearnerWarning', code: 'TOKENLEARNER_CPU_ISA' },
  );
}

function addon(): Loaded {
  return (loaded ??= load());
}

/** The native addon. Throws ERR_ADDON_NOT_FOUND or ERR_ADDON_LOAD. */
export function binding(): NativeBinding {
  return addon().native;
}

/** The path of the addon's file. Throws the errors of {@link binding}. */
export function addonPath(): string {
  return addon().path;
}

/**
 * The native addon with libtorch loaded. `user` is the part of this package that needs it, for the message. Throws the errors of
 * {@link binding}, ERR_LIBTORCH_NOT_FOUND, ERR_LIBTORCH_INCOMPATIBLE or ERR_LIBTORCH_LOAD.
 */
export function requireLibtorch(user: string): NativeBinding {
  const native = binding();
  location ??= loadLibtorch(native, user);
  return native;
}

function loadLibtorch(native: NativeBinding, user: string): LibtorchLocation {
  let found: LibtorchLocation | undefined;
  try {
    found = findLibtorch();
    native.loadLibtorch(found.libDir);
    return found;
  } catch (error) {
    throw errors().libtorchFailed(error, user, found, cache().thisHost());
  }
}

/** The libtorch that would be loaded. Loads nothing. Throws as {@link locateLibtorch} does. */
export function findLibtorch(): LibtorchLocation {
  return location ?? locate().locateLibtorch({ path: explicitPath, mapped: binding().mappedLibtorch() });
}

/** The place where the loaded libtorch was found; undefined if this package has not loaded it. */
export function libtorchLocation(): LibtorchLocation | undefined {
  return location;
}

/** True if the user named a libtorch, by {@link setLibtorchPath} or TOKENLEARNER_LIBTORCH. */
export function isLibtorchNamed(): boolean {
  return explicitPath !== undefined || Boolean(process.env.TOKENLEARNER_LIBTORCH);
}

/** Sets the libtorch to use. Throws ERR_INVALID_ARG_VALUE if another one is already loaded. */
export function setLibtorchPath(libtorch: string): void {
  if (location !== undefined && libtorch !== explicitPath) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `libtorch is already loaded from ${location.libDir}; choose another one before anything needs libtorch`,
    );
  }
  explicitPath = libtorch;
}
