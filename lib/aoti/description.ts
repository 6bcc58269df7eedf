/** What an AotiModel is made of, as JSON can hold it: `openShared` makes the same module from it in another thread. */
import type { Device } from '../device';
import { type DType, dtypeFromCode, dtypeInfo, DTYPES, type FloatDType, isFloatDType } from '../dtype';
import type { LayerDefinition, WholeDefinition } from '../modules/native';
import type { NativeProgram } from '../native-interface';
import type { AotiOutput } from './types';
import { encodeInput, joinedOutputs, type ProgramInput, Symbols } from './signature';

/** A constant of a compiled program. */
export interface AotiConstant {
  /** Its name in the program that was exported: 'backbone.blocks.0.attn.qkv.weight'. */
  name: string;
  /** 'parameter' and 'buffer' are in state dicts; 'constant' and 'folded' are the compiler's. */
  type: 'parameter' | 'buffer' | 'constant' | 'folded' | 'unknown';
  /** Its dtype; undefined if this package does not have it. */
  dtype: DType | undefined;
  /** Its shape; undefined if the package does not tell. */
  shape: readonly number[] | undefined;
}

/** The files of a program, and its place. */
export interface ProgramFiles {
  library: string;
  folder: string;
  weights: string;
  instances: number;
  device: Device;
}

export interface ProgramDescription {
  file: string;
  name: string;
  files: ProgramFiles;
  inputs: readonly ProgramInput[];
  outputs: readonly AotiOutput[];
  /** True if the package describes its outputs. */
  hasOutputs: boolean;
  metadata: Readonly<Record<string, string>>;
  program: NativeProgram;
}

/** The dtype that `module.dtype` tells: that of the first floating input. */
function moduleDType(inputs: readonly ProgramInput[]): FloatDType {
  return inputs.map(({ dtype }) => dtype).find(isFloatDType) ?? 'float32';
}

/** The configuration that native/engine/layers/aoti.cpp reads. */
export function programConfig(
  { library, folder, weights, instances }: ProgramFiles,
  inputs: readonly ProgramInput[],
  outputs: readonly AotiOutput[] | undefined,
): LayerDefinition['config'] {
  const symbols = new Symbols();
  const joined = joinedOutputs(inputs, outputs);
  return {
    library,
    folder,
    weights,
    instances,
    inputs: inputs.length,
    ...Object.fromEntries(inputs.map((input, i) => [`input${i}`, encodeInput(input, symbols)])),
    ...(joined === undefined ? {} : { joinedOutputs: joined }),
  };
}

/** The dtype and the device of a program, for native code. */
export function programPlacement(
  { device }: ProgramFiles,
  inputs: readonly ProgramInput[],
): { dtype: FloatDType; device: Device } {
  return { dtype: moduleDType(inputs), device };
}

/** The definition of the layer of a program that is open. */
export function programDefinition(
  description: ProgramDescription,
  repr: string,
): WholeDefinition & { parameters: readonly { name: string; shape: readonly number[]; dtype: DType }[] } {
  const { files, inputs, outputs, hasOutputs, program } = description;
  return {
    kind: 'aoti',
    libtorchUser: 'AotiModel',
    config: programConfig(files, inputs, hasOutputs ? outputs : undefined),
    arguments: [description],
    initial: () => [],
    placement: programPlacement(files, inputs),
    parameters: program.constants
      .filter(({ isParameter }) => isParameter)
      .map(({ originalName, shape, dtype }) => ({
        name: originalName,
        shape: shape ?? [],
        dtype: dtypeFromCode(dtype),
      })),
    // The layer of a program has its own.
    outputShape: (shape) => shape,
    repr,
  };
}

/** The constants for callers. */
export function programConstants({ constants }: NativeProgram): AotiConstant[] {
  return constants.map(({ originalName, type, dtype, shape }) => ({
    name: originalName,
    type,
    dtype: DTYPES.find((each) => dtypeInfo(each).code === dtype),
    shape: shape ?? undefined,
  }));
}
