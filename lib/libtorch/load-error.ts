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
      `Prebuilt binaries exist for linux-x64 and linux-arm64 (glibc ${requirements.glibc} or later). In a checkout, \`npm run setup\` builds it for ` +
      'this machine. In a bundled program, leave tokenlearner out of the bundle (esbuild: --external:tokenlearner).',
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

/** Adds to the addon's message its meaning, the origin of the libtorch, and remedies. */
export function libtorchLoadFailed(error: unknown, found: LibtorchLocation, host: Host): unknown {
  if (!(error instanceof TokenLearnerError)) return error;
  if (error.code !== 'ERR_LIBTORCH_LOAD' && error.code !== 'ERR_LIBTORCH_INCOMPATIBLE') return error;
  // The process is the problem, not this libtorch: another one would not help.
  if (/^This process has loaded|process\.chdir\(\)/.test(error.message)) return error;
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
  return new TokenLearnerError(error.code, lines.filter((line) => line !== null).join('\n'), {
    cause: error,
  });
}
