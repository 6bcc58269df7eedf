import type { ErrorCode } from '../errors';

const INSTALL_LIBTORCH = 'npx tokenlearner runtime install';
const BY_CODE: Partial<Record<ErrorCode, string>> = {
  ERR_ADDON_NOT_FOUND:
    'Install the package again on this platform, or build it from source: npm run setup in a checkout.',
  ERR_ADDON_LOAD:
    'See the message; a binary built on this machine always loads: npm run setup in a checkout.',
  ERR_LIBTORCH_NOT_FOUND: INSTALL_LIBTORCH,
  ERR_LIBTORCH_INCOMPATIBLE: INSTALL_LIBTORCH,
  ERR_LIBTORCH_LOAD: `Install it again: npx tokenlearner runtime remove --all, then ${INSTALL_LIBTORCH}.`,
};

export function remedyForCode(code: ErrorCode | null): string {
  const known = code === null ? undefined : BY_CODE[code];
  return known ?? 'Report it with the output of tokenlearner doctor --json.';
}
