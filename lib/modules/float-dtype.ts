import { type DType, dtypeInfo, DTYPES } from '../dtype';

/** The dtypes that modules can compute in. */
export type FloatDType = 'float32' | 'float64' | 'float16' | 'bfloat16';

/** True for the dtypes of {@link FloatDType}. */
export function isFloatDType(dtype: DType): dtype is FloatDType {
  return dtypeInfo(dtype).floating;
}

/** The dtypes of {@link FloatDType}. */
export const FLOAT_DTYPES = DTYPES.filter(isFloatDType);
