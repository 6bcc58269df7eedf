/** The arrays of one file: how to read them, to write them, and to tell whether a file of results is whole. */
import { TokenLearnerError } from '../../errors';
import { makeFolders } from '../../folders';
import { loadNpy, loadNpz, loadSafetensors, saveNpy, saveNpz, saveSafetensors } from '../../files';
import { type ListedTensor, listWeights } from '../../files/list';
import { ioError } from '../../formats/format-error';
import type { StateDict } from '../../modules/state-dict';
import type { AnyTensor } from '../../tensor/tensor';
import { type Format, formatOf } from './outputs';

/** The name of an array that its file does not name, in a format that has names. */
const UNNAMED = 'array';

export type Arrays = readonly (readonly [name: string, tensor: AnyTensor])[];

/** Loads a file by its ending. The array of an .npy has the name ''. */
export async function loadArrays(file: string): Promise<Arrays> {
  const format = formatOf(file);
  if (format === 'npy') return [['', await loadNpy(file)]];
  const arrays = Object.entries(await (format === 'npz' ? loadNpz(file) : loadSafetensors(file)));
  if (arrays.length > 0) return arrays;
  throw new TokenLearnerError('ERR_FILE_FORMAT', `${file}: it holds no array`);
}

/** NumPy has no bfloat16: float32 holds every bfloat16 value. */
function forNumPy(tensor: AnyTensor): AnyTensor {
  return tensor.dtype === 'bfloat16' ? tensor.to('float32') : tensor;
}

/**
 * The names that results have in a file of a format. Throws ERR_INVALID_ARG_VALUE for several in an .npy, and where an unnamed array would get the name
 * of another.
 */
export function storedNames(file: string, format: Format, names: readonly string[]): string[] {
  if (format !== 'npy') {
    if (!names.includes('') || !names.includes(UNNAMED))
      return names.map((name) => (name === '' ? UNNAMED : name));
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `${file}: the result of the array without a name would be called '${UNNAMED}', as that of another array`,
    );
  }
  if (names.length === 1) return [''];
  throw new TokenLearnerError(
    'ERR_INVALID_ARG_VALUE',
    `${file}: an .npy holds one array, and there are ${names.length} results: choose --format npz or safetensors`,
  );
}

/** Makes a folder where there is none. Throws ERR_FILE_IO. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await makeFolders(folder);
  } catch (cause) {
    throw ioError('written', folder, cause);
  }
}

/** Writes a file that is complete or not there. Throws ERR_FILE_IO. */
export async function saveArrays(file: string, format: Format, arrays: Arrays): Promise<void> {
  const names = storedNames(
    file,
    format,
    arrays.map(([name]) => name),
  );
  const dict: StateDict = Object.fromEntries(
    arrays.map(([, tensor], i) => [names[i] ?? '', format === 'safetensors' ? tensor : forNumPy(tensor)]),
  );
  if (format === 'safetensors') return saveSafetensors(file, dict);
  if (format === 'npz') return saveNpz(file, dict);
  return saveNpy(file, (dict as Record<'', AnyTensor>)['']);
}

/** True if a file holds exactly these arrays, whole: by its header and its size, not by its elements. */
export async function isWhole(
  file: string,
  arrays: readonly Pick<ListedTensor, 'name' | 'shape'>[],
): Promise<boolean> {
  let found: ListedTensor[];
  try {
    found = (await listWeights(file)).tensors;
  } catch {
    return false;
  }
  const shapes = new Map(found.map(({ name, shape }) => [name, String(shape)]));
  return (
    shapes.size === arrays.length && arrays.every(({ name, shape }) => shapes.get(name) === String(shape))
  );
}
