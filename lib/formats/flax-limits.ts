/** What a flax state may hold. The reader refuses more, and the writer does not write more. */

/** Maps may nest this deep. A model of many nested modules, in an optimizer's state, nests about 20 deep. */
export const MAX_DEPTH = 128;
/** The most values, in all maps together. */
export const MAX_VALUES = 2 ** 18;
/** The key of an array that flax has split: a map with its shape and its chunks. */
export const CHUNKED = '__msgpack_chunked_array__';

const NAME_CHARACTERS_PER_BYTE = 16;
const FREE_NAME_CHARACTERS = 2 ** 24;

/** The most characters of all names together: an allowance for each byte of the file, plus a free amount. */
export function maxNameCharacters(fileBytes: number): number {
  return FREE_NAME_CHARACTERS + NAME_CHARACTERS_PER_BYTE * fileBytes;
}
