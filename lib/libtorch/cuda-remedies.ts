import requirements from '../requirements.json';

const INSTALL = 'npx tokenlearner runtime install --variant cu130';
const { cuda12, cuda13 } = requirements.nvidiaDriver;

const BY_REASON: Readonly<Record<string, string>> = {
  'libtorch-cpu-only': `Install a libtorch with CUDA: ${INSTALL}`,
  'no-driver': `Install the NVIDIA driver (${cuda13} or later for CUDA 13, ${cuda12} for CUDA 12); in a container, start it with the GPUs passed through.`,
  'driver-too-old': `Update the NVIDIA driver to ${cuda13} or later, or install the libtorch for older ones: npx tokenlearner runtime install --variant cu126`,
  'no-device': 'Check nvidia-smi; in a container, start it with the GPUs passed through.',
  'no-visible-device': 'Unset CUDA_VISIBLE_DEVICES, or name a GPU in it.',
  'out-of-memory': 'Stop what fills the GPU: nvidia-smi names the processes.',
  'libtorch-cuda-load-failed': `Install the CUDA build again: npx tokenlearner runtime remove --all, then ${INSTALL}`,
  'driver-error':
    'Restart the machine, so that the kernel module and the libraries of the driver have the same version.',
};

/** The remedy for the machine-readable reason why CUDA is not available; null if there is none. */
export function remedyForCuda(reason: string | null): string | null {
  return BY_REASON[reason ?? ''] ?? null;
}
