import type { ErrorCode } from '../errors';

const INSTALL_LIBTORCH = 'npx tokenlearner runtime install';
const INSTALL_CUDA = 'npx tokenlearner runtime install --variant cu130';

const BY_CODE: Partial<Record<ErrorCode, string>> = {
  ERR_ADDON_NOT_FOUND: 'Install the package again on this platform, or build it from source: npm run build.',
  ERR_ADDON_LOAD:
    'See the message; a binary built on this machine always loads: npm run build in a checkout.',
  ERR_LIBTORCH_NOT_FOUND: INSTALL_LIBTORCH,
  ERR_LIBTORCH_INCOMPATIBLE: INSTALL_LIBTORCH,
  ERR_LIBTORCH_LOAD: `Install it again: npx tokenlearner runtime remove --all, then ${INSTALL_LIBTORCH}.`,
};

/** By the machine-readable reason why CUDA is not available. */
const BY_REASON: Readonly<Record<string, string>> = {
  'libtorch-cpu-only': INSTALL_CUDA,
  'no-driver':
    'Install the NVIDIA driver (525 or later); in a container, start it with the GPUs passed through.',
  'driver-too-old': 'Update the NVIDIA driver.',
  'no-device': 'Check nvidia-smi; in a container, start it with the GPUs passed through.',
  'no-visible-device': 'Unset CUDA_VISIBLE_DEVICES, or name a GPU in it.',
  'out-of-memory': 'Stop what fills the GPU: nvidia-smi names the processes.',
  'libtorch-cuda-load-failed': `Install the CUDA build again: npx tokenlearner runtime remove --all, then ${INSTALL_CUDA}.`,
  'driver-error':
    'Restart the machine, so that the kernel module and the libraries of the driver are of one version.',
};

export function remedyForCode(code: ErrorCode | null): string {
  const known = code === null ? undefined : BY_CODE[code];
  return known ?? 'Report it with the output of tokenlearner doctor --json.';
}

export function remedyForCuda(reason: string | null): string {
  return BY_REASON[reason ?? ''] ?? 'See the message; the CPU is used meanwhile.';
}
