import { Command } from 'commander';
import { isAotiPackage } from '../aoti/package';
import { byName, listWeights, type Listing } from '../files/list';
import { quoteAll } from '../formats/format-error';
import { formatShape } from '../shape';
import { examineWeights, type Recognition } from '../weights';
import type { Misfit } from '../weights/recognise';
import { STANDARD } from './output';
import { inspectPackage } from './inspect-package';
import { fileName, inputFile } from './options';
import { printable, printableJson, printableText } from './printable';
import { table } from './table';
import { UsageError } from './usage-error';
import { inWordsOfCommand } from './words';

function optionList(options: object): string {
  return (Object.entries(options) as [string, unknown][])
    .map(([name, value]) => `${name}: ${typeof value === 'string' ? `'${value}'` : String(value)}`)
    .join(', ');
}

/** The lines about one module. */
function describeModule(found: Recognition): string[] {
  const { module, confidence, options, prefix, title, arithmetic, differs } = found;
  const lines = [`${module} (${confidence}): { ${optionList(options)} }`, `  names of ${title}`];
  if (prefix !== '') lines.push(`  under the prefix ${quoteAll(prefix)}`);
  if (Object.keys(arithmetic).length > 0)
    lines.push(`  its code computes with { ${optionList(arithmetic)} }: pass these options for its numbers`);
  if (differs !== undefined) lines.push(`  its numbers differ from this package's: ${differs}`);
  return lines;
}

function modulesText(recognitions: readonly Recognition[], misfits: readonly Misfit[]): string {
  if (recognitions.length > 0) return recognitions.flatMap(describeModule).join('\n');
  const near = misfits.map(
    ({ module, prefix, title, problem }) =>
      `  nearly a ${module} with the names of ${title}${prefix === '' ? '' : ` under ${quoteAll(prefix)}`}: ${problem}`,
  );
  return ['No module of the family fits.', ...near].join('\n');
}

/** The report for people. */
function formatListing(
  { format, tensors }: Listing,
  recognitions: readonly Recognition[],
  misfits: readonly Misfit[],
): string {
  const rows = tensors.map(({ name, dtype, shape, bytes }) => [
    name === '' ? '(no name)' : printable(name),
    formatShape(shape),
    dtype,
    bytes === null ? '?' : String(bytes),
  ]);
  const total = tensors.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
  const head = `${format}: ${tensors.length} ${tensors.length === 1 ? 'tensor' : 'tensors'}, ${total} bytes`;
  const list = rows.length === 0 ? [] : [table([['key', 'shape', 'dtype', 'bytes'], ...rows]), ''];
  return [head, '', ...list, modulesText(recognitions, misfits)].join('\n');
}

async function inspect(file: string, { json, key }: { json: boolean; key?: string }): Promise<void> {
  if (file !== STANDARD && (await isAotiPackage(file))) {
    if (key !== undefined)
      throw new UsageError(`--key is for checkpoints, and ${file} is a package of programs`);
    process.stdout.write(`${await inspectPackage(file, json)}\n`);
    return;
  }
  const listing = await listWeights(inputFile(file, 'inspect -'), key).catch((error: unknown) => {
    throw inWordsOfCommand(error, ['key']);
  });
  const { recognitions, misfits } = examineWeights(byName(listing.tensors));
  const text = json
    ? printableJson({ format: listing.format, tensors: listing.tensors, modules: recognitions })
    : printableText(formatListing(listing, recognitions, misfits));
  process.stdout.write(`${text}\n`);
}

/** `tokenlearner inspect FILE`: what a file of weights holds, and whose weights they are; or what a package of programs (.pt2) is for. */
export function inspectCommand(): Command {
  return new Command('inspect')
    .description(
      'Show the keys, shapes, dtypes and bytes of a file of weights, and which module they fit; for a .pt2 package, its device, inputs, outputs and constants.',
    )
    .argument(
      '<file>',
      'safetensors, an index of shards, a PyTorch checkpoint, .npz, .npy, a flax state or a .pt2 package; - is standard input',
      fileName,
    )
    .option('--key <name>', 'the entry of the checkpoint that holds the state dict, if it holds more')
    .option('--json', 'print JSON', false)
    .action(inspect);
}
