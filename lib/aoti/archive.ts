/** The layout of a .pt2 archive: which records belong to which compiled model. */
import { type Fail, quote } from '../formats/format-error';
import type { ZipArchive } from '../formats/zip-archive';

/** Where PyTorch puts compiled models. The folder before it is named after the file, and absent in archives of older versions. */
const MODEL_RECORD = /^((?:[^/]+\/)?)data\/aotinductor\/([^/]+)\/(.+)$/;
/** Names of files that are written to disk: no folders, nothing that a system treats as special. */
const FILE_NAME = /^[\w+=@-][\w.+=@-]{0,254}$/;
const FORMAT = 'pt2';
const VERSION = '0';
/** The records that describe an archive are a few characters long. */
const MAX_LABEL_BYTES = 64;

/** A compiled model's records. */
export interface ModelRecords {
  /** What the names of all records of the archive begin with: '' or a folder. */
  root: string;
  /** File name -> name of the record. */
  files: ReadonlyMap<string, string>;
}

/** The library of a model, and what lies beside it. */
export interface ModelParts {
  library: string;
  /** The C++ source of the library; undefined if the archive does not have it. */
  source: string | undefined;
  metadata: string | undefined;
  /** The weights, where they are in a file of their own. */
  weights: string | undefined;
  /** The list of weights that lie in records of their own, data/weights/. */
  weightsConfig: string | undefined;
}

async function label(archive: ZipArchive, name: string): Promise<string | undefined> {
  const size = archive.sizeOf(name);
  if (size === undefined) return undefined;
  if (size > MAX_LABEL_BYTES) return '?';
  return Buffer.from(await archive.read(name))
    .toString('latin1')
    .trim();
}

/** Names what the archive is, if it holds no compiled model. */
function otherArchive(names: readonly string[]): string {
  const has = (pattern: RegExp) => names.some((name) => pattern.test(name));
  if (has(/(?:^|\/)(?:models\/[^/]+\.json|serialized_exported_program\.json)$/))
    return 'it is an exported program (torch.export.save), which is not compiled: compile it with torch._inductor.aoti_compile_and_package';
  if (has(/(?:^|\/)constants\.pkl$/))
    return 'it is a TorchScript program, which cannot run here: export it with torch.export';
  if (has(/(?:^|\/)data\.pkl$/)) return 'it is a checkpoint (torch.save): load it with loadCheckpoint';
  return 'it is a zip archive without a model that AOTInductor compiled';
}

/**
 * Sorts the records of an archive by model.
 *
 * @throws errors of `fail` if it holds no compiled model, or is of another format or version.
 */
export async function readLayout(
  archive: ZipArchive,
  fail: Fail,
): Promise<ReadonlyMap<string, ModelRecords>> {
  const names = [...archive.names];
  const models = new Map<string, { root: string; files: Map<string, string> }>();
  for (const name of names) {
    const [, root = '', model, file] = MODEL_RECORD.exec(name) ?? [];
    if (model === undefined || file === undefined) continue;
    if (!FILE_NAME.test(file)) throw fail(`the record ${quote(name)} has no simple file name`);
    const entry = models.get(model) ?? { root, files: new Map<string, string>() };
    if (entry.root !== root) throw fail(`the record ${quote(name)} lies in another folder than the others`);
    entry.files.set(file, name);
    models.set(model, entry);
  }
  const [first] = models.values();
  if (first === undefined) throw fail(otherArchive(names));
  if ([...models.values()].some(({ root }) => root !== first.root))
    throw fail('its models lie in different folders');
  await checkLabels(archive, first.root, fail);
  return models;
}

async function checkLabels(archive: ZipArchive, root: string, fail: Fail): Promise<void> {
  const format = await label(archive, `${root}archive_format`);
  if (format !== undefined && format !== FORMAT)
    throw fail(`its format is ${quote(format)} instead of ${FORMAT}`);
  const version = await label(archive, `${root}archive_version`);
  if (version !== undefined && version !== VERSION)
    throw fail(
      `its format has the version ${quote(version)}, and this version of tokenlearner reads ${VERSION}`,
    );
  const byteOrder = await label(archive, `${root}byteorder`);
  if (byteOrder !== undefined && byteOrder !== 'little') throw fail(`its byte order is ${quote(byteOrder)}`);
}

/** Chooses a model: the named one, or the only one. Throws errors of `fail` that list the models. */
export function chooseModel(
  models: ReadonlyMap<string, ModelRecords>,
  name: string | undefined,
  fail: Fail,
): [name: string, records: ModelRecords] {
  const [only, ...others] = models;
  const listed = [...models.keys()].map(quote).join(', ');
  if (name !== undefined) {
    const records = models.get(name);
    if (records !== undefined) return [name, records];
    throw fail(`it has no model ${quote(name)}; it has ${listed}`);
  }
  if (only !== undefined && others.length === 0) return only;
  throw fail(`it has the models ${listed}: choose one with \`name\``);
}

/** Finds a model's library and the files beside it. Throws errors of `fail`. */
export function findParts(files: ReadonlyMap<string, string>, fail: Fail): ModelParts {
  const names = [...files.keys()];
  const libraries = names.filter((name) => name.endsWith('.so'));
  // Kernels for the CPU that were made by Triton are libraries of their own.
  const main = libraries.filter((name) => name.endsWith('.wrapper.so'));
  const [library, ...others] = main.length > 0 ? main : libraries;
  if (library === undefined) {
    if (names.some((name) => /\.(?:dll|pyd)$/.test(name))) throw fail('its library is for Windows');
    if (names.some((name) => name.endsWith('.cpp')))
      throw fail('it holds source code that is not compiled: export it without package_cpp_only');
    throw fail('it has no compiled library');
  }
  if (others.length > 0)
    throw fail(`it has several libraries: ${[library, ...others].map(quote).join(', ')}`);
  const stem = library.slice(0, -'.so'.length);
  const optional = (name: string) => (files.has(name) ? name : undefined);
  return {
    library,
    source: optional(`${stem}.cpp`),
    metadata: optional(`${stem}_metadata.json`),
    weights: optional(`${stem}_weights.blob`),
    weightsConfig: optional('weights_config.json'),
  };
}
