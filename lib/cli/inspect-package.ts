/** What `tokenlearner inspect` says about a package of AOTInductor. None of its code runs. */
import {
  describeAotiPackage,
  type AotiDescription,
  type AotiDimension,
  type AotiSignature,
} from '../aoti/package';
import { quoteAll } from '../formats/format-error';
import { formatShape } from '../shape';
import { printable, printableJson, printableText } from './printable';
import { table } from './table';

function sizeText(size: AotiDimension): string {
  if (typeof size === 'number') return String(size);
  const { name, min, max } = size;
  if (name !== undefined) return printable(name);
  return max === undefined ? `(at least ${min})` : `(${min} to ${max})`;
}

function shapeText(shape: readonly AotiDimension[] | undefined): string {
  if (shape === undefined) return '?';
  const sizes = shape.map(sizeText);
  return sizes.length === 1 ? `(${String(sizes[0])},)` : `(${sizes.join(', ')})`;
}

/** The lines about dynamic dimensions: each name with its range. */
function rangeLines({ inputs }: AotiSignature): string[] {
  const ranges = new Map<string, string>();
  for (const { shape } of inputs)
    for (const size of shape)
      if (typeof size !== 'number' && size.name !== undefined)
        ranges.set(
          size.name,
          `  ${printable(size.name)}: ${size.min} ${size.max === undefined ? 'or more' : `to ${size.max}`}`,
        );
  return [...ranges.values()];
}

const SOURCES = {
  metadata: "the package's metadata",
  wrapper: 'its C++ source, which names no outputs',
  inputs: 'the caller',
} as const;

function signatureLines(signature: AotiSignature | undefined): string[] {
  if (signature === undefined)
    return [
      'inputs: unknown. AotiModel.load needs `inputs`, or a package that was exported with tokenlearner export-script',
    ];
  const { inputs, outputs = [], source } = signature;
  const rows = [
    ...inputs.map(({ name, dtype, shape }) => ['input', printable(name), dtype, shapeText(shape)]),
    ...outputs.map(({ name, dtype, shape }) => ['output', printable(name), dtype ?? '?', shapeText(shape)]),
  ];
  return [`inputs and outputs, from ${SOURCES[source]}:`, table(rows), ...rangeLines(signature)];
}

function constantLines({ constants }: AotiDescription): string[] {
  if (constants === undefined) return ['constants: unknown without running its code'];
  const rows = constants.map(({ name, dtype, shape }) => [`  ${printable(name)}`, formatShape(shape), dtype]);
  return [
    `${constants.length} ${constants.length === 1 ? 'constant' : 'constants'}`,
    ...(rows.length === 0 ? [] : [table(rows)]),
  ];
}

function fact(name: string, value: string | undefined): string[] {
  return value === undefined || value === '' ? [] : [`${name.padEnd(20)}${printable(value)}`];
}

function weightsPlace({ bytes, separateWeights }: AotiDescription): string {
  if (separateWeights !== undefined) return 'in records of their own';
  return bytes.weights > 0 ? `in a file of their own, ${bytes.weights} bytes` : 'in the library';
}

function describeModel(model: AotiDescription): string {
  const { name, device, metadata, torchVersion, bytes } = model;
  return [
    `model ${quoteAll(name)}`,
    ...fact('device', device),
    ...fact(
      'platform',
      [metadata.AOTI_PLATFORM, metadata.AOTI_MACHINE].filter((each) => each !== undefined).join(' '),
    ),
    ...fact('instruction sets', metadata.AOTI_CPU_ISA),
    ...fact('compute capability', metadata.AOTI_COMPUTE_CAPABILITY),
    ...fact('exported by torch', torchVersion),
    ...fact('library', `${bytes.library} bytes`),
    ...fact('weights', weightsPlace(model)),
    ...signatureLines(model.signature),
    ...constantLines(model),
  ].join('\n');
}

/** JSON has no Map. */
function plain({ separateWeights, ...rest }: AotiDescription): object {
  return {
    ...rest,
    separateWeights: separateWeights === undefined ? null : Object.fromEntries(separateWeights),
  };
}

/** Describes a package: text for people, or JSON. Throws the errors of describeAotiPackage. */
export async function inspectPackage(file: string, json: boolean): Promise<string> {
  const models = await describeAotiPackage(file);
  if (json) return printableJson({ format: 'a package of AOTInductor (.pt2)', models: models.map(plain) });
  const count = models.length === 1 ? '1 model' : `${models.length} models`;
  return printableText(
    [`a package of AOTInductor (.pt2): ${count}`, ...models.map(describeModel)].join('\n\n'),
  );
}
