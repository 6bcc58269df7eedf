/** NumPy's names of dtypes, as `numpy.dtype` accepts them. */
import type { DType } from '../dtype';
import { quote, type Fail } from './format-error';

/** Our dtypes: first the code that `numpy.save` writes, then the other spellings, without the byte order. */
const SPELLINGS: readonly (readonly [dtype: DType, ...codes: string[]])[] = [
  ['float16', 'f2', 'e', 'float16', 'half'],
  ['float32', 'f4', 'f', 'float32', 'single'],
  ['float64', 'f8', 'd', 'float64', 'double', 'float'],
  ['int32', 'i4', 'i', 'int32', 'intc'],
  // A C long has 32 bits on Windows. The elements then do not fill the file, which is an error.
  ['int64', 'i8', 'l', 'q', 'p', 'int64', 'longlong', 'intp', 'long', 'int'],
  ['uint8', 'u1', 'B', 'uint8', 'ubyte'],
  ['bool', 'b1', '?', 'bool', 'bool_'],
];

const DTYPES: ReadonlyMap<string, DType> = new Map(
  SPELLINGS.flatMap(([dtype, ...codes]) => codes.map((code): [string, DType] => [code, dtype])),
);

/** NumPy's dtypes that tensors do not have. */
const OTHERS: ReadonlyMap<string, string> = new Map(
  [
    ['int8', 'i1', 'b', 'int8', 'byte'],
    ['int16', 'i2', 'h', 'int16', 'short'],
    ['uint16', 'u2', 'H', 'uint16', 'ushort'],
    ['uint32', 'u4', 'I', 'uint32', 'uintc'],
    ['uint64', 'u8', 'L', 'Q', 'P', 'uint64', 'ulonglong', 'uintp', 'ulong', 'uint'],
    ['longdouble', 'f16', 'f12', 'g', 'float128', 'float96', 'longdouble'],
    ['complex64', 'c8', 'F', 'complex64', 'csingle'],
    ['complex128', 'c16', 'D', 'complex128', 'cdouble', 'complex'],
    ['clongdouble', 'c32', 'c24', 'G', 'complex256', 'complex192', 'clongdouble'],
    ['object (pickled Python objects)', 'O', 'object', 'object_'],
  ].flatMap(([name = '', ...codes]) => codes.map((code): [string, string] => [code, name])),
);

/** NumPy's dtypes with a length or a unit. */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/^U\d*$/, 'text'],
  [/^[Sa]\d*$/, 'bytes'],
  [/^V2$/, 'raw bytes of length 2, which is how ml_dtypes saves bfloat16'],
  [/^V\d*$/, 'raw bytes'],
  [/^(?:M8?|datetime64)(?:\[.*\])?$/, 'datetime64'],
  [/^(?:m8?|timedelta64)(?:\[.*\])?$/, 'timedelta64'],
];

/** The little-endian `descr` of a dtype; undefined for bfloat16, which NumPy does not have. */
export function npyDescr(dtype: DType): string | undefined {
  const code = SPELLINGS.find(([known]) => known === dtype)?.[1];
  return code === undefined ? undefined : `${code.endsWith('1') ? '|' : '<'}${code}`;
}

/** The name of a dtype that NumPy has and tensors do not, by its code without the byte-order mark. */
function otherName(code: string): string | undefined {
  return OTHERS.get(code) ?? PATTERNS.find(([pattern]) => pattern.test(code))?.[1];
}

/** A dtype's name for people, also of one that tensors do not have. */
export function npyDtypeName(code: string): string {
  return DTYPES.get(code) ?? otherName(code)?.replace(/(?:,| \().*/, '') ?? code;
}

/**
 * Returns the dtype of a code without its byte-order mark.
 *
 * @param descr - the code with the mark, for messages
 * @throws TokenLearnerError ERR_FILE_FORMAT. The message names a dtype that NumPy has and tensors do not.
 */
export function npyDtype(code: string, descr: string, fail: Fail): DType {
  const dtype = DTYPES.get(code);
  if (dtype !== undefined) return dtype;
  const other = otherName(code);
  const ours = SPELLINGS.map(([known]) => known).join(', ');
  if (other === undefined) throw fail(`dtype ${quote(descr)} is not supported (${ours} are)`);
  throw fail(
    `dtype ${quote(descr)} is not supported: it is NumPy's ${other}. Convert the array with astype() to one of ${ours}`,
  );
}
