/**
 * The part of Node's FileHandle that readers of files use. A structural type, so that the declarations of the public API need no
 * types of Node.
 */
export interface FileReader {
  /** Reads at a position of the file, and returns how many bytes it read. */
  read(
    target: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>;
}
