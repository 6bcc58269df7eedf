import { binding, isLibtorchNamed, requireLibtorch } from './binding';
import { TokenLearnerError } from './errors';
import { remedyForCuda } from './libtorch/cuda-remedies';
import type { CudaReport, DeviceCode } from './native-interface';
import { unexpected } from './validate';

/** The device of a tensor or a module. */
export type Device = 'cpu' | `cuda:${number}`;

/** A device as callers name it. 'cuda' means 'cuda:0'. 'auto' means the first usable GPU, or the CPU if there is none. */
export type DeviceOption = Device | 'auto' | 'cuda';

const EXPECTED = "'auto', 'cpu', 'cuda' or 'cuda:N'";
const CPU: DeviceCode = -1;
// A sanity limit: no machine has more GPUs.
const MAX_INDEX = 1023;

/** True if `value` has the form of a device name. The device need not exist. */
export function isDeviceOption(value: unknown): value is DeviceOption {
  return typeof value === 'string' && /^(auto|cpu|cuda(:(0|[1-9]\d{0,3}))?)$/.test(value);
}

export function deviceFromCode(code: DeviceCode): Device {
  return code < 0 ? 'cpu' : `cuda:${code}`;
}

export function deviceCode(device: Device): DeviceCode {
  return device === 'cpu' ? CPU : Number(device.slice('cuda:'.length));
}

function unavailable(asked: string, why: string, remedy: string | null = null): TokenLearnerError {
  return new TokenLearnerError(
    'ERR_CUDA_UNAVAILABLE',
    `Device '${asked}' is not available: ${why}. runtime.info() lists the available devices; device 'auto' falls back to the CPU` +
      (remedy === null ? '' : `\n${remedy}`),
  );
}

/**
 * Says if a GPU is usable and, if not, why. Loads libtorch only where there is a driver. Throws the errors of
 * {@link requireLibtorch} where there is a driver and the libtorch does not load.
 */
export function cudaReport(): CudaReport {
  const native = binding();
  return native.cudaDriver() ? requireLibtorch('A GPU').cuda() : native.cuda();
}

/** The device that 'auto' means. A machine with a driver and without any libtorch uses the CPU: runtime.info() says it. */
function automatic(): Device {
  try {
    const { available, defaultDevice } = cudaReport();
    return available ? deviceFromCode(defaultDevice) : 'cpu';
  } catch (error) {
    const isMissing = error instanceof TokenLearnerError && error.code === 'ERR_LIBTORCH_NOT_FOUND';
    if (isMissing && !isLibtorchNamed()) return 'cpu';
    throw error;
  }
}

/** True if page-locked memory makes copies to a GPU faster here. */
export function hasUsableGpu(): boolean {
  return automatic() !== 'cpu';
}

/**
 * Resolves a caller's device to an available one. Throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, or
 * ERR_CUDA_UNAVAILABLE with the reason.
 */
export function resolveDevice(name: string, value: unknown): Device {
  if (typeof value !== 'string') throw unexpected('ERR_INVALID_ARG_TYPE', name, EXPECTED, value);
  if (!isDeviceOption(value)) throw unexpected('ERR_INVALID_ARG_VALUE', name, EXPECTED, value);
  if (value === 'cpu') return 'cpu';
  if (value === 'auto') return automatic();
  const report = cudaReport();
  if (!report.available) {
    const why = `${report.detail ?? 'unknown reason'} (${report.reason ?? 'unknown'})`;
    throw unavailable(value, why, remedyForCuda(report.reason));
  }
  const index = value === 'cuda' ? 0 : deviceCode(value);
  if (index > MAX_INDEX || index >= report.devices.length) {
    throw unavailable(value, `there are ${report.devices.length} GPUs, numbered from 0 (no-such-device)`);
  }
  return `cuda:${index}`;
}
