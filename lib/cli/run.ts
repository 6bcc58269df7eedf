import { Command, Option } from 'commander';
import { loadNpy } from '../files';
import type { AnyTensor } from '../index';
import { inWordsOfLearner } from './learner-options';
import { type FilesOptions, runFiles } from './offline/command';
import { saveArrays } from './offline/arrays';
import { FORMATS, knownFormat } from './offline/outputs';
import { fileName, fileNames, inputFile, positive } from './options';
import { isStandardOutput, saveOutput, STANDARD } from './output';
import { addModelOptions, type ModelOptions, modelOf } from './run-model';
import { filesOfWeights, TakenFiles } from './taken-files';
import { UsageError } from './usage-error';

interface RunOptions extends FilesOptions, ModelOptions {
  output?: string;
  attention?: string;
}

/** A run from one file to one. */
interface OneOptions extends RunOptions {
  output: string;
}

/** Options that would have no effect are wrong usage. */
function checkUsage(options: RunOptions, inputs: readonly string[]): asserts options is OneOptions {
  const { output, attentionDir, format, resume, maxReadBytes, maxBatchSize } = options;
  if (output === undefined) throw new UsageError('expected --output for one file, or --output-dir for many');
  const stranger = Object.entries({ attentionDir, format, resume, maxReadBytes, maxBatchSize }).find(
    ([, value]) => value !== undefined && value !== false,
  );
  if (stranger !== undefined)
    throw new UsageError(
      `--${stranger[0].replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} goes with --output-dir`,
    );
  if (inputs.length > 1)
    throw new UsageError(`--output is for one input, not ${inputs.length}: ${inputs.join(', ')}`);
}

/** Refuses files of which one would be lost, and a terminal as the target of binary data. */
async function checkFiles({ weights, output, attention }: OneOptions, input: string): Promise<void> {
  if (weights === STANDARD && input === STANDARD)
    throw new UsageError('--weights and --input cannot both be standard input');
  new TakenFiles()
    .reads(await filesOfWeights(weights), 'a file of the weights')
    .reads([input], 'the file of --input')
    .writes('--output', output)
    .writes('--attention', attention);
  if ([output, attention].includes(STANDARD) && process.stdout.isTTY)
    throw new UsageError(
      '--output - and --attention - need a file or a pipe on standard output, which is a terminal',
    );
}

async function run(more: string[], options: RunOptions): Promise<void> {
  const inputs = [...options.input, ...more];
  if (options.outputDir !== undefined) {
    if ((options.output ?? options.attention) !== undefined)
      throw new UsageError('--output and --attention do not go with --output-dir: --attention-dir does');
    const files = { ...options, input: inputs, outputDir: options.outputDir };
    await runFiles(files, () => modelOf(options));
    return;
  }
  checkUsage(options, inputs);
  await runOne(options, inputs[0] ?? '');
}

/** Writes a result in the format of the file's ending; as .npy where it has another one, or is standard output. */
async function saveResult(file: string, result: AnyTensor): Promise<void> {
  const format = isStandardOutput(file) ? undefined : knownFormat(file);
  if (format === undefined || format === 'npy') await saveOutput(file, result);
  else await saveArrays(file, format, [['', result]]);
}

async function runOne(options: OneOptions, from: string): Promise<void> {
  await checkFiles(options, from);
  const { layout, inputLayout, pixels } = options;
  const how = { layout, inputLayout, ...(pixels && { pixels }) };
  const source = inputFile(from, '--input -');
  const model = await modelOf(options);
  const input = (await loadNpy(source)).to(model.dtype);
  const started = process.hrtime.bigint();
  const { tokens, attention } = await model
    .forward(input, { ...how, returnAttention: true })
    .catch((error: unknown) => {
      throw inWordsOfLearner(error, model.constructor.name);
    });
  const milliseconds = Number(process.hrtime.bigint() - started) / 1e6;
  await saveResult(options.output, tokens);
  if (options.attention !== undefined) await saveResult(options.attention, attention);
  if (options.quiet) return;
  // If an array goes to standard output, the message must not.
  const isTaken = [options.output, options.attention ?? ''].some(isStandardOutput);
  (isTaken ? process.stderr : process.stdout).write(
    `(${input.shape.join(', ')}) -> (${tokens.shape.join(', ')}) in ${milliseconds.toFixed(1)} ms on ${model.device}: ${options.output === STANDARD ? 'standard output' : options.output}\n`,
  );
}

function addFileOptions(command: Command): Command {
  return command
    .argument('[inputs...]', 'with --output-dir: further inputs', fileNames)
    .requiredOption(
      '-i, --input <file>',
      'feature map, .npy (- is standard input); with --output-dir a file, folder or pattern, also of .npz and .safetensors, and may be repeated',
      fileNames,
    )
    .option(
      '-o, --output <file>',
      'tokens (..., C, G), .npy, .npz or .safetensors; - is standard output',
      fileName,
    )
    .option(
      '-a, --attention <file>',
      'also write the attention maps (..., G, H, W), in the same way',
      fileName,
    )
    .option('--output-dir <folder>', 'tokens of each input, under its name', fileName)
    .option('--attention-dir <folder>', 'also write the attention maps of each input', fileName)
    .addOption(
      new Option('--format <format>', 'of files in --output-dir (default: that of each input)').choices(
        FORMATS,
      ),
    )
    .option('--resume', 'keep the outputs that are whole', false)
    .option('--max-batch-size <images>', 'most images of a batch (default: 64)', positive)
    .option('--max-read-bytes <bytes>', 'most bytes of inputs in memory (default: 256 MiB)', positive)
    .addOption(
      new Option('--input-layout <layout>', 'order of the input')
        .choices(['channels-first', 'channels-last'])
        .default('channels-first'),
    )
    .addOption(
      new Option(
        '--pixels <form>',
        'of v1.1, with --input-layout channels-last: inputs are (..., P, C)',
      ).choices(['flat']),
    )
    .addOption(
      new Option('--layout <layout>', 'order of the output')
        .choices(['channels-first', 'tokens-first'])
        .default('channels-first'),
    );
}

/** `tokenlearner run`: forward passes from files to files. */
export function runCommand(): Command {
  const command = new Command('run').description(
    'Run a trained TokenLearner, TokenLearnerV10 or TokenLearnerV11 on feature maps (..., C, H, W) in files.',
  );
  return addFileOptions(addModelOptions(command))
    .option('-q, --quiet', 'print nothing but failures', false)
    .action(run);
}
