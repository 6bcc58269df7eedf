/** Where the results of each input go. All names are known, and checked, before anything runs. */
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { UsageError } from '../usage-error';
import type { InputFile } from './inputs';

export const FORMATS = ['npy', 'npz', 'safetensors'] as const;
export type Format = (typeof FORMATS)[number];

/** One file's work. */
export interface Job {
  input: string;
  tokens: string;
  /** Undefined if the maps are not wanted. */
  attention?: string;
}

export interface OutputOptions {
  outputDir: string;
  attentionDir?: string;
  /** @default that of the input */
  format?: Format;
}

function isFormat(ending: string): ending is Format {
  return (FORMATS as readonly string[]).includes(ending);
}

/** The format of a file by its name. Throws a UsageError. */
export function formatOf(file: string): Format {
  const ending = path.extname(file).slice(1).toLowerCase();
  if (isFormat(ending)) return ending;
  throw new UsageError(`${file}: expected a name that ends in .npy, .npz or .safetensors`);
}

/** The path of a file without links, also of one that is not there yet. */
function real(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    const folder = path.dirname(path.resolve(file));
    return folder === path.resolve(file) ? folder : path.join(real(folder), path.basename(file));
  }
}

/**
 * The outputs of each input: its path under the output folder, with the ending of the format. Throws a UsageError where two inputs
 * have one output, or an output is an input.
 */
export function planJobs(
  files: readonly InputFile[],
  { outputDir, attentionDir, format }: OutputOptions,
): Job[] {
  const taken = new Map(files.map(({ path: file }) => [real(file), `${file}, an input`]));
  const claim = (folder: string, { path: input, relative }: InputFile): string => {
    const ending = `.${format ?? formatOf(input)}`;
    const output = path.join(
      folder,
      relative.slice(0, relative.length - path.extname(relative).length) + ending,
    );
    const other = taken.get(real(output));
    if (other !== undefined)
      throw new UsageError(
        `the result of ${input} would replace ${other}: run them with different output folders, or name their common folder as --input`,
      );
    taken.set(real(output), `the one of ${input}, ${output}`);
    return output;
  };
  return files.map((file) => {
    formatOf(file.path);
    return {
      input: file.path,
      tokens: claim(outputDir, file),
      ...(attentionDir === undefined ? {} : { attention: claim(attentionDir, file) }),
    };
  });
}
