import { isDeviceOption, resolveDevice } from '../device';
import { FLOAT_DTYPES, type FloatDType, isDType } from '../dtype';
import { unexpected } from '../validate';
import type { Placement } from './native';

/** Checks and resolves the arguments of `module.to`. Throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_CUDA_UNAVAILABLE. */
export function checkTarget(target: unknown, dtype: unknown): Partial<Placement> {
  if (dtype === undefined && isDType(target)) return { dtype: checkFloat('target', target) };
  if (!isDeviceOption(target)) {
    const expected = dtype === undefined ? 'a device or a floating dtype' : 'a device';
    const code = typeof target === 'string' ? 'ERR_INVALID_ARG_VALUE' : 'ERR_INVALID_ARG_TYPE';
    throw unexpected(code, 'target', expected, target);
  }
  const more = dtype === undefined ? {} : { dtype: checkFloat('dtype', dtype) };
  return { device: resolveDevice('target', target), ...more };
}

function checkFloat(name: string, dtype: unknown): FloatDType {
  const found = FLOAT_DTYPES.find((each) => each === dtype);
  if (found !== undefined) return found;
  const code = typeof dtype === 'string' ? 'ERR_INVALID_ARG_VALUE' : 'ERR_INVALID_ARG_TYPE';
  throw unexpected(code, name, 'a floating dtype', dtype);
}
