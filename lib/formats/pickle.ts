/**
 * A restricted unpickler. A pickle is a program for a stack machine; this machine knows the operations that plain
 * data need, and of globals only a fixed list (pickle-globals.ts). No code of the file or named by it ever runs.
 */
import { TokenLearnerError } from '../errors';
import { formatErrors } from './format-error';
import { PickleMachine } from './pickle-machine';
import { OPERATIONS, REFUSED, STOP } from './pickle-opcodes';
import type { PickleValue } from './pickle-values';

/**
 * Reads a pickle of numbers, strings, bytes, bools, None, tuples, lists, dicts, and tensors whose storages are
 * persistent ids of torch.save.
 *
 * @param source - what error messages call the bytes
 * @throws TokenLearnerError ERR_UNSAFE_PICKLE for everything else that a pickle can ask for, and ERR_FILE_FORMAT when it is
 * malformed or larger than any state dict.
 */
export function unpickle(bytes: Uint8Array, source: string): PickleValue {
  const machine = new PickleMachine(
    bytes,
    formatErrors(source),
    (what) => new TokenLearnerError('ERR_UNSAFE_PICKLE', `${source}: ${what}`),
  );
  for (let opcode = machine.operation(); opcode !== STOP; opcode = machine.operation()) {
    const operation = OPERATIONS.get(opcode);
    if (operation === undefined) {
      const name = REFUSED.get(opcode);
      if (name !== undefined)
        throw machine.refuse(`the pickle uses the operation ${name}, which is not allowed`);
      throw machine.fail(
        `the pickle has 0x${opcode.toString(16)} at ${machine.position - 1}, which is no operation`,
      );
    }
    operation(machine);
  }
  return machine.result();
}
