/**
 * A restricted unpickler. A pickle is a program for a stack machine. This machine knows only the operations for plain data, and a
 * fixed list of globals (pickle-names.ts). It never runs code from the file, or code that the file names.
 */
import { TokenLearnerError } from '../errors';
import { formatErrors } from './format-error';
import { PickleMachine } from './pickle-machine';
import { OPERATIONS, REFUSED, STOP } from './pickle-opcodes';
import type { PickleValue } from './pickle-values';

/** Units of the budget's work between two checks of the clock: a fraction of a millisecond. */
const WORK_BETWEEN_PAUSES = 1024;

/** Runs one operation. Returns a promise if it is a long one that works in slices. */
function step(machine: PickleMachine, opcode: number): Promise<void> | undefined {
  const operation = OPERATIONS.get(opcode);
  if (operation !== undefined) return operation(machine);
  const name = REFUSED.get(opcode);
  if (name !== undefined) throw machine.refuse(`the pickle uses the operation ${name}, which is not allowed`);
  throw machine.fail(
    `the pickle has 0x${opcode.toString(16)} at ${machine.position - 1}, which is not an operation`,
  );
}

/**
 * Reads a pickle of the values that PyTorch's own loader of weights allows: numbers, strings, bytes, bools, None, tuples, lists,
 * dicts, sets, devices, dtypes, and tensors whose storages are persistent ids of torch.save. It works in slices of a few
 * milliseconds, so that the event loop can run, and within a budget in proportion to the file (pickle-budget.ts).
 *
 * @param source - names the bytes in error messages
 * @param fileBytes - the size of the file that holds the pickle; less than the pickle's size if it is compressed
 * @throws TokenLearnerError ERR_UNSAFE_PICKLE for everything else that a pickle can ask for; ERR_FILE_FORMAT if it is malformed
 * or exceeds its budget.
 */
export async function unpickle(
  bytes: Uint8Array,
  source: string,
  fileBytes = bytes.byteLength,
): Promise<PickleValue> {
  const machine = new PickleMachine(
    bytes,
    fileBytes,
    formatErrors(source),
    (what) => new TokenLearnerError('ERR_UNSAFE_PICKLE', `${source}: ${what}`),
  );
  let pauseAt = WORK_BETWEEN_PAUSES;
  for (let opcode = machine.operation(); opcode !== STOP; opcode = machine.operation()) {
    const pending = step(machine, opcode);
    if (pending !== undefined) await pending;
    if (machine.budget.work < pauseAt) continue;
    await machine.pause();
    pauseAt = machine.budget.work + WORK_BETWEEN_PAUSES;
  }
  return machine.result();
}
