/**
 * The names that a pickle may refer to: those that PyTorch 2.13 allows by default where it loads weights only. There is no import, no
 * attribute look-up and no call of anything else.
 */

/** PyTorch's name of the dtype of each storage class that CUDA has too. */
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

/** PyTorch's dtypes, by the names under which it pickles them. */
export const DTYPE_NAMES: ReadonlySet<string> = new Set([
  ...['float64', 'float32', 'float16', 'bfloat16', 'bool', 'complex32', 'complex64', 'complex128'],
  ...['float8_e5m2', 'float8_e4m3fn', 'float8_e5m2fnuz', 'float8_e4m3fnuz', 'float8_e8m0fnu'],
  'float4_e2m1fn_x2',
  ...numbered('int', [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64]),
  ...numbered('uint', [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64]),
  ...['quint8', 'qint8', 'qint32', 'quint4x2', 'quint2x4'],
  ...['bits1x8', 'bits2x4', 'bits4x2', 'bits8', 'bits16'],
]);

/** Values that need no meaning here. */
export const OPAQUE_NAMES: ReadonlySet<string> = new Set([
  'torch.per_tensor_affine',
  'torch.per_tensor_symmetric',
  'torch.per_channel_affine',
  'torch.per_channel_symmetric',
  'torch.per_channel_affine_float_qparams',
  'torch.storage.TypedStorage',
]);

const ELEMENTS = ['Float', 'Double', 'Half', 'BFloat16', 'Int', 'Long', 'Byte', 'Char', 'Short'];

/** Tensor classes of PyTorch's first years. */
export const TENSOR_CLASSES: ReadonlySet<string> = new Set([
  ...['torch.Tensor', 'torch.BoolTensor', 'torch.cuda.BoolTensor'],
  ...['torch', 'torch.cuda', 'torch.sparse', 'torch.cuda.sparse'].flatMap((module) =>
    ELEMENTS.map((element) => `${module}.${element}Tensor`),
  ),
]);
