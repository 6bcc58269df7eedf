/** Opens packages of AOTInductor (.pt2). Nothing here runs code of a package: model.ts does, after all these checks. */
import { lstatSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { binding } from '../binding';
import { fileSource } from '../formats/byte-source';
import { holdsCompiledPrograms } from '../formats/checkpoint-archive';
import { checkPath, withFile } from '../formats/file-io';
import { type Fail, quote } from '../formats/format-error';
import { checkKind, identify } from '../formats/identify';
import { ZipArchive } from '../formats/zip-archive';
import { thisHost } from '../libtorch/cache';
import type { AnyTensor } from '../tensor/tensor';
import { isPlainObject } from '../validate';
import { aotiErrors } from './aoti-error';
import { chooseModel, findParts, type ModelParts, type ModelRecords, readLayout } from './archive';
import { type ElfLibrary, readElf } from './elf';
import { extractModel } from './extract';
import { demandAgreement, readOwnMetadata } from './metadata-signature';
import { executableLibrary } from './noexec';
import {
  capabilityNumber,
  demandCapability,
  demandLibrary,
  demandPlatform,
  type Target,
  thisTarget,
} from './platform';
import { readSeparateWeights, readWeightsConfig, type SeparateWeight } from './separate-weights';
import type { AotiConstant, AotiSignature } from './types';
import { compilerFlags, constantsFromWrapper, signatureFromWrapper } from './wrapper-source';

export type * from './types';
export type { SeparateWeight } from './separate-weights';
export { versionWithSymbol } from './versions';

/** The devices that packages are compiled for. */
export type AotiDevice = 'cpu' | 'cuda';

/** The extracted files of a model. */
export interface ExtractedAoti {
  /** The path to open the library by. */
  readonly library: string;
  /** The folder with all files, which the program takes its GPU kernels from. */
  readonly folder: string;
  /** A file with the weights, if they are not in the library. */
  readonly weights: string | undefined;
  /** Call it once the library is open, or was not opened. */
  close(): void;
}

/** A package that can run on this machine. */
export interface AotiPackage {
  /** The chosen model. */
  readonly name: string;
  /** The names of all models of the archive. */
  readonly models: readonly string[];
  /** The path that was opened. */
  readonly file: string;
  readonly device: AotiDevice;
  /** AOTInductor's names of instruction sets: 'AVX2', 'AVX512 AVX512_VNNI'. */
  readonly isa: string | undefined;
  /** 90 for 9.0. */
  readonly computeCapability: number | undefined;
  /** The torch that exported it, if our metadata tells. */
  readonly torchVersion: string | undefined;
  /** wrapper_metadata.json. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Undefined if neither our metadata nor the C++ source tells. */
  readonly signature: AotiSignature | undefined;
  /** The constants that the C++ source lists; undefined if it does not tell. */
  readonly constants: readonly AotiConstant[] | undefined;
  /** The symbols of libtorch that the library needs. */
  readonly requiredSymbols: readonly string[];
  /** Weights that lie in records of their own (data/weights), by original name: the program has none before they are loaded. */
  readonly separateWeights: ReadonlyMap<string, SeparateWeight> | undefined;
  /** Reads these weights: original name -> tensor on the CPU, which the caller disposes. Undefined where there are none. */
  readonly loadWeights: (() => Promise<ReadonlyMap<string, AnyTensor>>) | undefined;
  /** Demands a GPU that runs the package's kernels. `available` is '9.0', say. Throws ERR_AOTI_PACKAGE. */
  demandCapability(available: string): void;
  /** Extracts the files to the cache of this user, if they are not there. */
  extract(): Promise<ExtractedAoti>;
}

/** What an archive tells about one model. Nothing is compared with this machine. */
export interface AotiDescription {
  name: string;
  device: string | undefined;
  metadata: Readonly<Record<string, string>>;
  torchVersion: string | undefined;
  signature: AotiSignature | undefined;
  constants: readonly AotiConstant[] | undefined;
  separateWeights: ReadonlyMap<string, SeparateWeight> | undefined;
  /** Bytes of the library, and of weights beside it. */
  bytes: { library: number; weights: number };
}

/** Sanity limits: the source of a program with thousands of layers has some megabytes. */
const MAX_SOURCE_BYTES = 2 ** 27;
const MAX_JSON_BYTES = 2 ** 24;
/** Symbols of libtorch: its C shim, and C++ symbols of its namespaces. */
const TORCH_SYMBOL = /^(?:aoti_|torch_)|^_ZN[KVRO]*(?:2at|3c10|5torch|6caffe2)/;
/** What is extracted besides the library: kernels, and lists of them. */
const NOT_EXTRACTED = /\.(?:cpp|h|hpp|py|o|S|txt)$|_metadata\.json$|^weights_config\.json$/;

async function readText(archive: ZipArchive, record: string, limit: number, fail: Fail): Promise<string> {
  const size = archive.sizeOf(record) ?? 0;
  if (size > limit)
    throw fail(`the record ${quote(record)} has ${size} bytes, which is over the limit of ${limit}`);
  return Buffer.from(await archive.read(record)).toString('utf8');
}

/** wrapper_metadata.json: strings by name. */
function parseMetadata(text: string, fail: Fail): Record<string, string> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw fail('its metadata is not JSON', cause);
  }
  if (!isPlainObject(parsed)) throw fail('its metadata is no object');
  const metadata = Object.create(null) as Record<string, string>;
  for (const [name, value] of Object.entries(parsed)) {
    if (typeof value !== 'string') throw fail(`its metadata has ${quote(name)}, which is no text`);
    metadata[name] = value;
  }
  return metadata;
}

interface Model {
  description: AotiDescription;
  parts: ModelParts;
  records: ModelRecords;
  options: string[];
}

/** Reads what the records of a model tell, without its library. */
async function readModel(
  archive: ZipArchive,
  name: string,
  records: ModelRecords,
  fail: Fail,
): Promise<Model> {
  const parts = findParts(records.files, fail);
  const text = async (file: string | undefined, limit: number) => {
    const record = file === undefined ? undefined : records.files.get(file);
    return record === undefined ? undefined : readText(archive, record, limit, fail);
  };
  const json = await text(parts.metadata, MAX_JSON_BYTES);
  if (json === undefined)
    throw fail(`the model ${quote(name)} has no metadata: export it with torch 2.6 or later`);
  const metadata = parseMetadata(json, fail);
  const source = (await text(parts.source, MAX_SOURCE_BYTES)) ?? '';
  const own = readOwnMetadata(metadata, fail);
  const wrapper = signatureFromWrapper(source);
  if (own !== undefined) demandAgreement(own.signature, wrapper, fail);
  const config = await text(parts.weightsConfig, MAX_JSON_BYTES);
  const sizeOf = (file: string | undefined) => archive.sizeOf(records.files.get(file ?? '') ?? '') ?? 0;
  const description = {
    name,
    device: metadata.AOTI_DEVICE_KEY,
    metadata,
    torchVersion: own?.torch,
    signature: own?.signature ?? wrapper,
    constants: constantsFromWrapper(source),
    separateWeights: config === undefined ? undefined : readWeightsConfig(config, fail),
    bytes: { library: sizeOf(parts.library), weights: sizeOf(parts.weights) },
  };
  return {
    description,
    parts,
    records,
    options: compilerFlags(source),
  };
}

/** Opens an archive, and calls `use` with it. */
async function withArchive<T>(
  file: string,
  use: (archive: ZipArchive, handle: FileHandle) => Promise<T>,
): Promise<T> {
  const fail = aotiErrors(file);
  return withFile(file, async (handle, size) => {
    const source = fileSource(handle, size, file);
    checkKind(await identify(source), ['checkpoint', 'npz'], fail);
    return use(await ZipArchive.open(source, file, { zeroChecksums: true }), handle);
  });
}

function deviceOf(device: string | undefined, fail: Fail): AotiDevice {
  if (device === 'cpu' || device === 'cuda') return device;
  throw fail(
    device === undefined
      ? 'its metadata does not tell the device'
      : `it was compiled for the device ${quote(device)}, and only cpu and cuda are supported`,
  );
}

/** Which file it is, and in what state: a change between opening and extracting would be another program. */
async function identityOf(handle: FileHandle): Promise<string> {
  const { dev, ino, size, mtimeNs } = await handle.stat({ bigint: true });
  return `${dev} ${ino} ${size} ${mtimeNs}`;
}

/** How to open a package. */
export interface OpenAotiOptions {
  /** The model, if the archive has several. */
  name?: string | undefined;
  /** Tests pass their own. */
  target?: Target;
}

/**
 * Opens a package and checks that it can run here: the archive, the platform, the machine, the processor's instruction sets and the libraries that it
 * needs. Runs none of its code.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE; ERR_FILE_IO; ERR_FILE_FORMAT for a damaged archive; ERR_AOTI_PACKAGE
 */
export async function openAotiPackage(file: string, options: OpenAotiOptions = {}): Promise<AotiPackage> {
  const { name: asked, target = thisTarget() } = options;
  const fail = aotiErrors(checkPath(file));
  return withArchive(file, async (archive, handle) => {
    const models = await readLayout(archive, fail);
    const [name, records] = chooseModel(models, asked, fail);
    const model = await readModel(archive, name, records, fail);
    const { metadata, torchVersion, signature, constants, separateWeights } = model.description;
    const device = deviceOf(model.description.device, fail);
    demandPlatform(metadata, model.options, target, fail);
    const elf = await readLibrary(archive, model, fail);
    demandLibrary(elf, target, fail);
    const identity = await identityOf(handle);
    const computeCapability = capabilityNumber(metadata.AOTI_COMPUTE_CAPABILITY);
    const isPortable = [...records.files.keys()].some((each) => each.endsWith('.fatbin'));
    return {
      name,
      models: [...models.keys()],
      file,
      device,
      isa: metadata.AOTI_CPU_ISA,
      computeCapability,
      torchVersion,
      metadata,
      signature,
      constants,
      separateWeights,
      loadWeights:
        separateWeights === undefined
          ? undefined
          : () =>
              withSame(file, identity, fail, (again) =>
                readSeparateWeights(again, records.root, separateWeights, fail),
              ),
      requiredSymbols: elf.undefined.filter((symbol) => TORCH_SYMBOL.test(symbol)),
      demandCapability: (available) => {
        demandCapability(device === 'cuda' ? computeCapability : undefined, available, isPortable, fail);
      },
      extract: () => extract(file, model, identity, fail),
    };
  });
}

async function readLibrary(archive: ZipArchive, { parts, records }: Model, fail: Fail): Promise<ElfLibrary> {
  return readElf(await archive.source(records.files.get(parts.library) ?? ''), fail);
}

/** Opens an archive again, if it is the same file in the same state. */
async function withSame<T>(
  file: string,
  identity: string,
  fail: Fail,
  use: (archive: ZipArchive) => Promise<T>,
): Promise<T> {
  return withArchive(file, async (archive, handle) => {
    if ((await identityOf(handle)) !== identity) throw fail('the file changed after it was opened');
    return use(archive);
  });
}

async function extract(file: string, model: Model, identity: string, fail: Fail): Promise<ExtractedAoti> {
  const files = new Map([...model.records.files].filter(([name]) => !NOT_EXTRACTED.test(name)));
  const folder = await withSame(file, identity, fail, (archive) =>
    extractModel({ archive, files, host: thisHost(), fail }),
  );
  const { library, weights } = model.parts;
  const { path: opened, close } = await executableLibrary(path.join(folder, library), () => binding(), fail);
  return {
    library: opened,
    folder,
    weights: weights === undefined ? undefined : path.join(folder, weights),
    close,
  };
}

/**
 * Describes all models of an archive, whatever machine they are for. Runs none of its code.
 *
 * @throws the errors of {@link openAotiPackage}
 */
export async function describeAotiPackage(file: string): Promise<AotiDescription[]> {
  const fail = aotiErrors(checkPath(file));
  return withArchive(file, async (archive) => {
    const described: AotiDescription[] = [];
    for (const [name, records] of await readLayout(archive, fail)) {
      described.push((await readModel(archive, name, records, fail)).description);
    }
    return described;
  });
}

/** True if a file looks like a package: a zip archive with compiled models. False also if it cannot be read. */
export async function isAotiPackage(file: string): Promise<boolean> {
  if (!lstatSync(file, { throwIfNoEntry: false })) return false;
  try {
    return await withArchive(file, (archive) => Promise.resolve(holdsCompiledPrograms(archive.names)));
  } catch {
    return false;
  }
}
