/** `tokenlearner run --output-dir`: from the options to the exit code. */
import { STANDARD } from '../output';
import { printable, printableText } from '../printable';
import { SilentFailure } from '../silent-failure';
import { filesOfWeights } from '../taken-files';
import { UsageError } from '../usage-error';
import type { TokenPooling } from '../../modules/token-pooling';
import { makeFolder } from './arrays';
import { inputFiles } from './inputs';
import { type ManyOptions, type Outcome, runMany } from './many';
import { type Format, planJobs } from './outputs';
import { doneOf, duration } from './progress';

/** The options of the command that are about its files. */
export interface FilesOptions {
  weights: string;
  input: string[];
  outputDir?: string;
  attentionDir?: string;
  format?: Format;
  resume: boolean;
  maxBatchSize?: number;
  maxReadBytes?: number;
  layout: ManyOptions['layout'];
  inputLayout: ManyOptions['inputLayout'];
  pixels?: 'flat';
  quiet: boolean;
}

const DEFAULTS = { maxBatchSize: 64, maxReadBytes: 256 * 2 ** 20 };
/** The exit codes after signals that end the work early: 128 and the signal's number. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

/** Calls `work` with a signal that the first SIGINT or SIGTERM aborts; the second one ends the process at once. */
async function stoppable<T>(work: (stop: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const listeners = Object.entries(SIGNALS).map(([name, code]) => {
    const onSignal = (): void => {
      for (const [each, listener] of listeners) process.off(each, listener);
      process.stderr.write('\nStopping after the files under way; again to stop at once\n');
      controller.abort(code);
    };
    return [name, onSignal] as const;
  });
  for (const [name, listener] of listeners) process.on(name, listener);
  try {
    return await work(controller.signal);
  } finally {
    for (const [name, listener] of listeners) process.off(name, listener);
  }
}

function report({ total, written, skipped, failures }: Outcome, folder: string, seconds: number): string {
  const kept = skipped > 0 ? `, ${skipped} kept` : '';
  const failed = failures.length > 0 ? `, ${failures.length} failed` : '';
  return `${folder}: ${written} of ${total} files written${kept}${failed} in ${duration(seconds)}\n`;
}

/** Runs all files. Throws a SilentFailure if one failed, and after a signal, also where no file was left. */
export async function runFiles(
  options: FilesOptions & { outputDir: string },
  load: () => Promise<TokenPooling>,
): Promise<void> {
  const { weights, input, outputDir, attentionDir, quiet } = options;
  if (input.includes(STANDARD))
    throw new UsageError('--input - goes with --output: --output-dir is for files');
  const folders = attentionDir === undefined ? [outputDir] : [outputDir, attentionDir];
  const { files, leftOut } = await inputFiles(input, folders);
  const jobs = planJobs(files, options, await filesOfWeights(weights));
  for (const folder of folders) await makeFolder(folder);
  if (leftOut > 0 && !quiet)
    process.stderr.write(`Left out, since they are in folders of outputs: ${leftOut} that --input gives\n`);
  const model = await load();
  const started = performance.now();
  const [outcome, stop] = await stoppable(async (signal) => [
    await runMany(model, jobs, { ...DEFAULTS, ...options, stop: signal }),
    signal,
  ]);
  if (!quiet) process.stdout.write(report(outcome, outputDir, (performance.now() - started) / 1000));
  const { failures, total } = outcome;
  const left = total - doneOf(outcome);
  if (left > 0) process.stderr.write(`${left} of ${total} files are left: --resume goes on with them\n`);
  if (failures.length > 0) {
    const lines = failures.map(
      ({ input: file, message }) => `  ${printable(file)}: ${printableText(message)}\n`,
    );
    process.stderr.write(`${failures.length} of ${total} files failed:\n${lines.join('')}`);
  }
  if (stop.aborted) throw new SilentFailure(stop.reason as number);
  if (failures.length > 0) throw new SilentFailure();
}
