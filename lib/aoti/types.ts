import type { DType } from '../dtype';

/** A dimension of a tensor: a fixed size, or a range of sizes. Dynamic dimensions of the same name have equal sizes in a call. */
export type AotiDimension =
  | number
  | {
      /** Dimensions of the same name are of equal size. */
      readonly name?: string | undefined;
      /** The smallest size. */
      readonly min: number;
      /** The largest size; undefined if there is no limit. */
      readonly max: number | undefined;
    };

/** A dtype that a program may use: one of this package's, or another by PyTorch's name, such as 'int8'. */
export type AotiDType = DType | (string & {});

/** An input tensor of an exported program. */
export interface AotiInput {
  /** A name for people and servers. */
  readonly name: string;
  /** The dtype that it must have. */
  readonly dtype: AotiDType;
  /** Its dimensions, outermost first. */
  readonly shape: readonly AotiDimension[];
  /** Its dimensions from the outermost in memory to the innermost. Without it they lie row by row. (0, 2, 3, 1) is channels-last. */
  readonly order?: readonly number[] | undefined;
}

/** An output tensor of an exported program. */
export interface AotiOutput {
  /** A name for people and servers. */
  readonly name: string;
  /** Its dtype, if it is known. */
  readonly dtype?: AotiDType | undefined;
  /** Its dimensions, if they are known. */
  readonly shape?: readonly AotiDimension[] | undefined;
}

/** The inputs and outputs of an exported program, in the order of its trees' leaves. */
export interface AotiSignature {
  readonly inputs: readonly AotiInput[];
  readonly outputs?: readonly AotiOutput[] | undefined;
  /** Where this is known from: our export script, the archive's C++ source, or the caller. */
  readonly source: 'metadata' | 'wrapper' | 'inputs';
}

/** A constant of a program: a parameter or buffer. */
export interface AotiConstant {
  /** The name in the state dict that it was exported from. */
  readonly name: string;
  readonly dtype: AotiDType;
  readonly shape: readonly number[];
}
