/**
 * The names that a pickle may refer to: those that PyTorch 2.13 allows by default with `weights_only`. Nothing else is imported,
 * looked up or called.
 */

/** PyTorch's storage classes that exist for the CPU and CUDA, and the names of their dtypes. */
const STORAGE_CLASSES: readonly (readonly [name: string, dtype: string])[] = [
  ['FloatStorage', 'float32'],
  ['DoubleStorage', 'float64'],
  ['HalfStorage', 'float16'],
  ['BFloat16Storage', 'bfloat16'],
  ['IntStorage', 'int32'],
  ['LongStorage', 'int64'],
  ['ByteStorage', 'uint8'],
  ['BoolStorage', 'bool'],
  ['CharStorage', 'int8'],
  ['ShortStorage', 'int16'],
  ['ComplexFloatStorage', 'complex64'],
  ['ComplexDoubleStorage', 'complex128'],
];

/** The dtypes of all storage classes; undefined for the untyped one. */
export const STORAGES: ReadonlyMap<string, string | undefined> = new Map([
  ...STORAGE_CLASSES.map(([name, dtype]) => [`torch.${name}`, dtype] as const),
  ...STORAGE_CLASSES.map(([name, dtype]) => [`torch.cuda.${name}`, dtype] as const),
  ['torch.QUInt8Storage', 'quint8'],
  ['torch.QInt8Storage', 'qint8'],
  ['torch.QInt32Storage', 'qint32'],
  ['torch.QUInt4x2Storage', 'quint4x2'],
  ['torch.QUInt2x4Storage', 'quint2x4'],
  ['torch.storage.UntypedStorage', undefined],
]);

const numbered = (prefix: string, widths: readonly number[]): string[] =>
  widths.map((width) => `${prefix}${width}`);

/** PyTorch's dtypes, by their names in pickles. */
export const DTYPE_NAMES: ReadonlySet<string> = new Set([
  ...['float64', 'float32', 'float16', 'bfloat16', 'bool', 'complex32', 'complex64', 'complex128'],
  ...['float8_e5m2', 'float8_e4m3fn', 'float8_e5m2fnuz', 'float8_e4m3fnuz', 'float8_e8m0fnu'],
  'float4_e2m1fn_x2',
  ...numbered('int', [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64]),
  ...numbered('uint', [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64]),
  ...['quint8', 'qint8', 'qint32', 'quint4x2', 'quint2x4'],
  ...['bits1x8', 'bits2x4', 'bits4x2', 'bits8', 'bits16'],
]);

/** Values that this reader accepts and ignores. */
export const OPAQUE_NAMES: ReadonlySet<string> = new Set([
  'torch.per_tensor_affine',
  'torch.per_tensor_symmetric',
  'torch.per_channel_affine',
  'torch.per_channel_symmetric',
  'torch.per_channel_affine_float_qparams',
  'torch.storage.TypedStorage',
]);

const ELEMENTS = ['Float', 'Double', 'Half', 'BFloat16', 'Int', 'Long', 'Byte', 'Char', 'Short'];

/** Tensor classes of early PyTorch versions. */
export const TENSOR_CLASSES: ReadonlySet<string> = new Set([
  ...['torch.Tensor', 'torch.BoolTensor', 'torch.cuda.BoolTensor'],
  ...['torch', 'torch.cuda', 'torch.sparse', 'torch.cuda.sparse'].flatMap((module) =>
    ELEMENTS.map((element) => `${module}.${element}Tensor`),
  ),
]);
