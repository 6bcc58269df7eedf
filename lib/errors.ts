import codes from './error-codes.json';

/** Every code a {@link TokenLearnerError} can carry. */
export type ErrorCode =
  | 'ERR_INVALID_ARG_TYPE'
  | 'ERR_INVALID_ARG_VALUE'
  | 'ERR_OUT_OF_RANGE'
  | 'ERR_INVALID_THIS'
  | 'ERR_SHAPE_MISMATCH'
  | 'ERR_DTYPE_MISMATCH'
  | 'ERR_DEVICE_MISMATCH'
  | 'ERR_NOT_CONTIGUOUS'
  | 'ERR_DISPOSED'
  | 'ERR_DETACHED'
  | 'ERR_UNSUPPORTED_BUFFER'
  | 'ERR_STATE_DICT'
  | 'ERR_FILE_FORMAT'
  | 'ERR_UNSAFE_PICKLE'
  | 'ERR_ADDON_NOT_FOUND'
  | 'ERR_ADDON_LOAD'
  | 'ERR_LIBTORCH_NOT_FOUND'
  | 'ERR_LIBTORCH_LOAD'
  | 'ERR_LIBTORCH_INCOMPATIBLE'
  | 'ERR_CUDA_UNAVAILABLE'
  | 'ERR_ENGINE_UNSUPPORTED'
  | 'ERR_OUT_OF_MEMORY'
  | 'ERR_DEVICE_LOST'
  | 'ERR_LIBTORCH'
  | 'ERR_CLOSED';

// The registry is error-codes.json, shared with the native code; the union above is written out so that the package's types
// need no JSON. These two lines compile only while they are the same.
codes satisfies Record<ErrorCode, string>;
null as unknown as keyof typeof codes satisfies ErrorCode;

/** The one error class of this package: `code` is stable and machine-readable, `message` is for people. */
export class TokenLearnerError extends Error {
  /** A stable, machine-readable code from the registry. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TokenLearnerError';
    this.code = code;
  }
}
