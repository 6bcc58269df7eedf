/**
 * A restricted unpickler. A pickle is a program for a stack machine; this machine knows the operations that plain
 * data need, and of globals only a fixed list (pickle-names.ts). No code of the file or named by it ever runs.
 */
import { TokenLearnerError } from '../errors';
import { formatErrors } from './format-error';
import { Pace } from './pace';
import { PickleMachine } from './pickle-machine';
import { OPERATIONS, REFUSED, STOP } from './pickle-opcodes';
import type { PickleValue } from './pickle-values';

/** Units of the budget's work between two looks at the clock: a fraction of a millisecond. */
const WORK_BETWEEN_PAUSES = 4096;

function step(machine: PickleMachine, opcode: number): void {
  const operation = OPERATIONS.get(opcode);
  if (operation !== undefined) {
    operation(machine);
    return;
  }
  const name = REFUSED.get(opcode);
  if (name !== undefined) throw machine.refuse(`the pickle uses the operation ${name}, which is not allowed`);
  throw machine.fail(
    `the pickle has 0x${opcode.toString(16)} at ${machine.position - 1}, which is no operation`,
  );
}

/**
 * Reads a pickle of what PyTorch's own loader of weights allows: numbers, strings, bytes, bools, None, tuples, lists, dicts, sets, devices,
 * dtypes, and tensors whose storages are persistent ids of torch.save. It works in slices of some milliseconds, so that the event loop
 * goes on turning, and within a budget that is in proportion to the file (pickle-budget.ts).
 *
 * @param source - what error messages call the bytes
 * @param fileBytes - the size of the file that holds the pickle, which may be less than the pickle's where it is compressed
 * @throws TokenLearnerError ERR_UNSAFE_PICKLE for everything else that a pickle can ask for, and ERR_FILE_FORMAT when it is
 * malformed or costs more than its budget.
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
  const pace = new Pace();
  let pauseAt = WORK_BETWEEN_PAUSES;
  for (let opcode = machine.operation(); opcode !== STOP; opcode = machine.operation()) {
    step(machine, opcode);
    if (machine.budget.work < pauseAt) continue;
    await pace.pause();
    pauseAt = machine.budget.work + WORK_BETWEEN_PAUSES;
  }
  return machine.result();
}
