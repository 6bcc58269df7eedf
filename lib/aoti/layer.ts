/** The native layer of a compiled program. */
import { TokenLearnerError } from '../errors';
import { NativeLayer, type WholeDefinition } from '../modules/native';
import type { LayerHandle } from '../native-interface';
import type { AotiOutput } from './types';
import { checkSizes, outputShapeOf, type ProgramInput } from './signature';

export class AotiLayer extends NativeLayer {
  readonly #inputs: readonly ProgramInput[];
  readonly #output: AotiOutput | undefined;
  readonly #hidden: string | undefined;

  /**
   * @param output - the only output; undefined if there are several, or if the package does not describe it.
   * @param hidden - a constant whose value the package does not give out.
   */
  constructor(
    handle: LayerHandle,
    definition: WholeDefinition,
    inputs: readonly ProgramInput[],
    output: AotiOutput | undefined,
    hidden: string | undefined,
  ) {
    super(handle, definition, true, inputs[0]?.dtype);
    this.#inputs = inputs;
    this.#output = output;
    this.#hidden = hidden;
  }

  override accepts(input: readonly number[]): number[] | undefined {
    checkSizes(this.#inputs, [input]);
    return outputShapeOf(this.#inputs, [input], this.#output);
  }

  override outputShape(input: readonly number[]): number[] {
    const shape = this.accepts(input);
    if (shape !== undefined) return shape;
    throw new TokenLearnerError(
      'ERR_NOT_IMPLEMENTED',
      'The package does not tell the shape of its output: export it with `npx tokenlearner export-script`, or run it',
    );
  }

  override demandValues(): void {
    if (this.#hidden === undefined) return;
    throw new TokenLearnerError(
      'ERR_AOTI_PACKAGE',
      `The package does not give out the values of its constants, such as ${this.#hidden}: export it again with a newer PyTorch`,
    );
  }
}
