/** Where the results of each input go. All names are known, and checked, before anything runs. */
import path from 'node:path';
import { TakenFiles } from '../taken-files';
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

/** The format of a file by its name; undefined for another ending. */
export function knownFormat(file: string): Format | undefined {
  const ending = path.extname(file).slice(1).toLowerCase();
  return isFormat(ending) ? ending : undefined;
}

/** The format of a file by its name. Throws a UsageError. */
export function formatOf(file: string): Format {
  const format = knownFormat(file);
  if (format !== undefined) return format;
  throw new UsageError(`${file}: expected a name that ends in .npy, .npz or .safetensors`);
}

/**
 * The outputs of each input: its path under the output folder, with the ending of the format. Throws a UsageError where two inputs
 * have one output, or an output is an input or a file of the weights.
 */
export function planJobs(
  files: readonly InputFile[],
  { outputDir, attentionDir, format }: OutputOptions,
  weights: readonly string[],
): Job[] {
  const taken = new TakenFiles();
  for (const { path: file } of files) taken.reads([file], `${file}, an input`);
  taken.reads(weights, 'a file of the weights');
  const claimed = new Map<string, InputFile>();
  const claim = (folder: string, file: InputFile): string => {
    const { path: input, relative } = file;
    const ending = `.${format ?? formatOf(input)}`;
    const output = path.join(
      folder,
      relative.slice(0, relative.length - path.extname(relative).length) + ending,
    );
    const other = taken.claim(output, `the one of ${input}, ${output}`);
    const rival = claimed.get(output);
    claimed.set(output, file);
    if (other === undefined) return output;
    // With names that differ in their endings alone, a common folder is no help.
    const isEnding = rival !== undefined && rival.relative !== relative;
    const advice = isEnding
      ? `${format === undefined ? '' : 'leave out --format, or '}run them by pattern with different output folders`
      : 'run them with different output folders, or name their common folder as --input';
    throw new UsageError(`the result of ${input} would replace ${other}: ${advice}`);
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
