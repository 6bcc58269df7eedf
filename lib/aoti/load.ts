/** Opens a package: the checks before its code runs, in their order, and the first run of its code. */
import { binding, requireLibtorch } from '../binding';
import { deviceCode, resolveDevice } from '../device';
import { dtypeInfo } from '../dtype';
import { TokenLearnerError } from '../errors';
import { checkFilePath } from '../formats/input';
import type { LayerHandle } from '../native-interface';
import { type AnyTensor, tensorArgument } from '../tensor/tensor';
import { checkInteger, checkOptions, checkString, unexpected } from '../validate';
import { type CallSpec, leafCount, leafNames, parseCallSpec } from './call-spec';
import { type ProgramDescription, type ProgramFiles, programConfig, programPlacement } from './description';
import {
  type AotiInput,
  type AotiOutput,
  type AotiPackage,
  openAotiPackage,
  versionWithSymbol,
} from './package';
import {
  type AotiInputOption,
  checkInputsOption,
  demandInputs,
  joinSignatures,
  type ProgramInput,
} from './signature';

/** Options of {@link AotiModel.load}. */
export interface AotiLoadOptions {
  /**
   * Must be true. A package is machine code, which runs with all rights of this process: load only those of people whom you trust.
   */
  trusted: boolean;
  /** The model of the archive. @default the only one */
  name?: string | undefined;
  /**
   * The device that the package was made for; for CUDA, an index chooses one.
   *
   * @default the package's own: 'cpu', or the first GPU
   */
  device?: 'auto' | 'cpu' | 'cuda' | `cuda:${number}` | undefined;
  /**
   * The most runs at a time, from 1 to 64. Each has buffers of its own; they share the weights, and divide the threads of libtorch's operators.
   *
   * @default 1
   */
  instances?: number | undefined;
  /**
   * The inputs, in the order of the call spec's tensors. For packages that do not tell them; for others it gives them names, and must not
   * contradict the package.
   */
  inputs?: readonly AotiInputOption[] | undefined;
}

const LOAD_OPTIONS = ['trusted', 'name', 'device', 'instances', 'inputs'] as const;
const MOST_INSTANCES = 64;
/** The function that operators outside the C shim are called through. Only PyTorch's C++ interface can give it. */
const PROXY = 'aoti_torch_proxy_executor_call_function';

/** A program that is open, and what it is made of. */
interface LoadedProgram {
  handle: LayerHandle;
  description: ProgramDescription;
}

/** Opens a package. Throws the errors of AotiModel.load. */
export async function loadProgram(path: unknown, options: unknown): Promise<LoadedProgram> {
  const given = checkOptions('options', options, LOAD_OPTIONS);
  const file = checkFilePath(path);
  demandTrust(file, given.trusted);
  const instances = checkInteger('options.instances', given.instances ?? 1, {
    min: 1,
    max: MOST_INSTANCES,
  });
  const asked = checkInputsOption(given.inputs);
  const name = given.name === undefined ? undefined : checkString('options.name', given.name);
  const found = await openAotiPackage(file, name === undefined ? undefined : { name });
  const signature = joinSignatures(found.signature, asked);
  const inputs = demandInputs(signature.inputs);
  const device = deviceOf(found, given.device);
  if (device !== 'cpu') found.demandCapability(capabilityOf(device));
  demandSymbols(found);
  const extracted = await found.extract();
  const { library, folder, weights = '' } = extracted;
  const files: ProgramFiles = { library, folder, weights, instances, device };
  const handle = createProgram(files, inputs, signature.outputs);
  try {
    await openProgram(handle, found).finally(() => {
      extracted.close();
    });
    const program = binding().describeProgram(handle);
    const spec = parseCallSpec(program.inSpec, program.outSpec);
    const outputs = outputsOf(spec, program.outputs, signature.outputs);
    demandInputCount(spec, inputs);
    const description: ProgramDescription = {
      file,
      name: found.name,
      files,
      inputs,
      outputs,
      hasOutputs: signature.outputs !== undefined,
      metadata: found.metadata,
      program,
    };
    return { handle, description };
  } catch (error) {
    binding().disposeLayer(handle);
    throw error;
  }
}

function demandTrust(file: string, trusted: unknown): void {
  if (trusted !== undefined && typeof trusted !== 'boolean')
    throw unexpected('ERR_INVALID_ARG_TYPE', 'options.trusted', 'a boolean', trusted);
  if (trusted === true) return;
  throw new TokenLearnerError(
    'ERR_UNTRUSTED_CODE',
    `${file} is machine code, which runs with all rights of this process: pass \`trusted: true\` if you trust the people who made it`,
  );
}

/** The device that a program runs on. Throws ERR_DEVICE_MISMATCH, ERR_CUDA_UNAVAILABLE and the errors of resolveDevice. */
function deviceOf({ device: own, file }: AotiPackage, asked: unknown): ProgramFiles['device'] {
  if (asked === undefined || asked === 'auto')
    return own === 'cpu' ? 'cpu' : resolveDevice('options.device', 'cuda');
  const isCpu = asked === 'cpu';
  if (typeof asked === 'string' && isCpu !== (own === 'cpu') && /^(?:cpu|cuda(?::\d+)?)$/.test(asked)) {
    throw new TokenLearnerError(
      'ERR_DEVICE_MISMATCH',
      `Expected device '${own}' for ${file}, which was compiled for it, but received '${asked}': export the program for the other device`,
    );
  }
  return resolveDevice('options.device', asked);
}

/** The compute capability of a GPU that resolveDevice has found: '9.0'. */
function capabilityOf(device: ProgramFiles['device']): string {
  const { devices } = binding().cuda();
  return devices.find(({ index }) => index === deviceCode(device))?.computeCapability ?? '0.0';
}

/** Checks that libtorch has the functions that a library calls. Throws ERR_LIBTORCH_INCOMPATIBLE, ERR_AOTI_PACKAGE. */
function demandSymbols({ file, requiredSymbols }: AotiPackage): void {
  const native = requireLibtorch('AotiModel');
  if (requiredSymbols.includes(PROXY)) {
    throw new TokenLearnerError(
      'ERR_AOTI_PACKAGE',
      `${file} calls operators that are not in libtorch's C interface (custom operators), which only PyTorch's own loader can run`,
    );
  }
  const [missing] = native.missingTorchSymbols(requiredSymbols);
  if (missing === undefined) return;
  const since = versionWithSymbol(missing);
  const has = native.libtorch()?.version ?? 'here';
  throw new TokenLearnerError(
    'ERR_LIBTORCH_INCOMPATIBLE',
    `${file} needs ${missing}, which libtorch ${has} lacks; ${since === undefined ? 'no version that is known here has it' : `${since} has it`}: use that libtorch, or export the program with PyTorch ${has}`,
  );
}

/** A native layer of a program that is not open. */
function createProgram(
  files: ProgramFiles,
  inputs: readonly ProgramInput[],
  outputs: readonly AotiOutput[] | undefined,
): LayerHandle {
  const { dtype, device } = programPlacement(files, inputs);
  return requireLibtorch('AotiModel').createLayer(
    'aoti',
    programConfig(files, inputs, outputs),
    [],
    dtypeInfo(dtype).code,
    deviceCode(device),
  );
}

/** Runs the library's code for the first time, on an executor's thread. */
async function openProgram(handle: LayerHandle, { loadWeights }: AotiPackage): Promise<void> {
  const values = [...((await loadWeights?.()) ?? new Map<string, AnyTensor>())];
  try {
    await binding().openProgram(
      handle,
      values.map(([name]) => name),
      values.map(([name, tensor]) => tensorArgument(name, tensor)),
    );
  } finally {
    for (const [, tensor] of values) tensor.dispose();
  }
}

/** Throws ERR_AOTI_PACKAGE if the call spec has leaves that are no tensors. */
function demandInputCount({ args, kwargs }: CallSpec, inputs: readonly AotiInput[]): void {
  const leaves = [...args, kwargs].reduce((sum, tree) => sum + leafCount(tree), 0);
  if (inputs.length === 0)
    throw new TokenLearnerError('ERR_AOTI_PACKAGE', 'The program has no inputs: at least one is needed');
  if (leaves === inputs.length) return;
  throw new TokenLearnerError(
    'ERR_AOTI_PACKAGE',
    `The program's call spec has ${leaves} inputs, and ${inputs.length} of them are tensors (${inputs.map(({ name }) => name).join(', ')}): ` +
      'numbers, strings and None are no inputs here; export the program with tensors only',
  );
}

/** The outputs: the package's own, or the names that the tree gives. Throws ERR_AOTI_PACKAGE. */
function outputsOf(
  { output }: CallSpec,
  count: number,
  known: readonly AotiOutput[] | undefined,
): readonly AotiOutput[] {
  const names = leafNames(output);
  if (names.length !== count || (known !== undefined && known.length !== count)) {
    throw new TokenLearnerError(
      'ERR_AOTI_PACKAGE',
      `The program returns ${count} values, but its call spec has ${names.length} and its signature ${known?.length ?? names.length}`,
    );
  }
  return known ?? names.map((name) => ({ name }));
}
