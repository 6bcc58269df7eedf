import { TokenLearnerError } from '../errors';
import requirements from '../requirements.json';
import type { Host } from './cache';
import { explainLoadFailure } from './load-advice';
import { platformName } from './libc';
import type { LibtorchLocation } from './locate';
import { remedies } from './remedies';

/** The error for a platform without an addon. */
export function addonNotFound(): TokenLearnerError {
  return new TokenLearnerError(
    'ERR_ADDON_NOT_FOUND',
    `There is no native addon of tokenlearner for ${platformName()}, Node ${process.version}. ` +
      `Prebuilt binaries exist for linux-x64 and linux-arm64 (glibc ${requirements.glibc} or later, or musl). In a checkout, \`npm run setup\` builds it for ` +
      'this machine.',
  );
}

/** Explanations of Node's permission errors, by their codes. */
const FORBIDDEN: Readonly<Record<string, string>> = {
  ERR_DLOPEN_DISABLED:
    'This process forbids native addons: start Node with --allow-addons, and without --no-addons.',
  ERR_ACCESS_DENIED:
    "This process may not read it: start Node with --allow-fs-read for the package's whole folder.",
};

/** The error for an addon whose file exists but does not load, or whose folder may not be read. */
export function addonLoadFailed(file: string, cause: unknown): TokenLearnerError {
  const { message, code } = cause as NodeJS.ErrnoException;
  const meaning = FORBIDDEN[code ?? ''] ?? explainLoadFailure(message);
  return new TokenLearnerError(
    'ERR_ADDON_LOAD',
    `The native addon ${file} could not be loaded on ${platformName()}, Node ${process.version}: ${message}` +
      (meaning === null ? '' : `\n${meaning}`),
    { cause },
  );
}

const LIBTORCH_CODES: readonly string[] = [
  'ERR_LIBTORCH_NOT_FOUND',
  'ERR_LIBTORCH_LOAD',
  'ERR_LIBTORCH_INCOMPATIBLE',
];

/**
 * The error for a libtorch that was not found, or that did not load from `found`: who needs it (`user`), the reason, and remedies.
 * Other errors are returned as they are.
 */
export function libtorchFailed(
  error: unknown,
  user: string,
  found: LibtorchLocation | undefined,
  host: Host,
): unknown {
  if (!(error instanceof TokenLearnerError) || !LIBTORCH_CODES.includes(error.code)) return error;
  // The process is the problem, not this libtorch: another one would not help.
  const isOfProcess = /^This process has |process\.chdir\(\)/.test(error.message);
  const reason = found === undefined || isOfProcess ? error.message : loadFailure(error, found, host);
  return new TokenLearnerError(error.code, `${user} needs libtorch. ${reason}`, { cause: error });
}

/** Adds to the addon's message its meaning, the origin of the libtorch, and remedies. */
function loadFailure(error: Error, found: LibtorchLocation, host: Host): string {
  const origin = {
    option: 'named by runtime.configure',
    environment: 'named by TOKENLEARNER_LIBTORCH',
    process: 'the one that this process had already loaded',
    package: 'from the npm runtime package',
    cache: 'from the cache of this user',
    python: "Python's installed torch",
  }[found.source];
  const lines = [
    error.message,
    `This libtorch is ${origin}.`,
    explainLoadFailure(error.message),
    'Any one of these fixes it:',
    ...remedies(host).map((remedy) => `  ${remedy}`),
  ];
  return lines.filter((line) => line !== null).join('\n');
}
