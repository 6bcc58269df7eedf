import { quote } from './format-error';
import { construct, persistentStorage, resolveGlobal, setItems } from './pickle-globals';
import type { PickleMachine } from './pickle-machine';
import { addItems, isKind, PickledDict, pythonType, type PickleValue } from './pickle-values';

/** Runs an operation. A long one works in slices and returns a promise. */
type Operation = (machine: PickleMachine) => Promise<void> | undefined;

/** The newest version that PROTO may name: Python's newest. */
const MAX_PROTOCOL = 5;
/** Ends the pickle. */
export const STOP = 0x2e;

function proto(machine: PickleMachine): void {
  const version = machine.uint8();
  if (version > MAX_PROTOCOL)
    throw machine.fail(`pickle protocol ${version} is not supported (up to ${MAX_PROTOCOL} are)`);
}

/** A frame gives only the number of bytes that belong together; its operations follow as usual. */
function frame(machine: PickleMachine): void {
  machine.uint64();
}

function pushGlobal(machine: PickleMachine, module: string, name: string): void {
  const value = resolveGlobal(module, name);
  if (value === undefined) {
    throw machine.refuse(
      `the pickle asks for ${quote(`${module}.${name}`)}, which is not allowed; ` +
        'save the state dict alone, made of tensors and plain containers',
    );
  }
  machine.push(value);
}

function global(machine: PickleMachine): void {
  const module = machine.line();
  pushGlobal(machine, module, machine.line());
}

function stackGlobal(machine: PickleMachine): void {
  const name = machine.pop();
  const module = machine.pop();
  if (typeof module !== 'string' || typeof name !== 'string')
    throw machine.fail('the pickle names a global with something other than strings');
  pushGlobal(machine, module, name);
}

function inst(machine: PickleMachine): void {
  const [module, name] = [machine.line(), machine.line()];
  throw machine.refuse(`the pickle makes an instance of ${quote(`${module}.${name}`)}`);
}

function reduce(machine: PickleMachine): Promise<void> | undefined {
  const args = machine.pop();
  const callee = machine.pop();
  if (!isKind(callee, 'constructor')) throw machine.refuse(`the pickle calls ${pythonType(callee)}`);
  if (!Array.isArray(args)) throw machine.fail('the pickle calls a constructor without a tuple of arguments');
  const made = construct(callee, args, machine);
  if (made instanceof Promise)
    return made.then((value) => {
      machine.push(value);
    });
  machine.push(made);
  return undefined;
}

/** Drops an OrderedDict's attributes, such as a state dict's `_metadata`. Nothing else may have attributes. */
function build(machine: PickleMachine): void {
  const state = machine.pop();
  const target = machine.top();
  if (target instanceof PickledDict && state instanceof PickledDict) return;
  throw machine.refuse(`the pickle sets the state of ${pythonType(target)}`);
}

function popTuple(machine: PickleMachine, length: number): PickleValue[] {
  const items = new Array<PickleValue>(length);
  for (let i = length - 1; i >= 0; i -= 1) items[i] = machine.pop();
  return items;
}

function extend(machine: PickleMachine, items: readonly PickleValue[]): void {
  const list = machine.top();
  if (!Array.isArray(list)) throw machine.fail(`the pickle appends to ${pythonType(list)}`);
  machine.chargeItems(items.length);
  addItems(list, items);
}

function addToSet(machine: PickleMachine): void {
  const items = machine.popToMark();
  const set = machine.top();
  if (!isKind(set, 'set')) throw machine.fail(`the pickle adds items to ${pythonType(set)}`);
  machine.chargeItems(items.length);
  addItems(set.items, items);
}

function append(machine: PickleMachine): void {
  extend(machine, [machine.pop()]);
}

function appends(machine: PickleMachine): void {
  extend(machine, machine.popToMark());
}

function update(machine: PickleMachine, items: readonly PickleValue[]): Promise<void> | undefined {
  const dict = machine.top();
  if (!(dict instanceof PickledDict)) throw machine.fail(`the pickle sets items of ${pythonType(dict)}`);
  return setItems(dict, items, machine);
}

function setItem(machine: PickleMachine): Promise<void> | undefined {
  const value = machine.pop();
  return update(machine, [machine.pop(), value]);
}

function updateFromMark(machine: PickleMachine): Promise<void> | undefined {
  return update(machine, machine.popToMark());
}

function dictFromMark(machine: PickleMachine): Promise<void> | undefined {
  const items = machine.popToMark();
  machine.push(new PickledDict());
  return update(machine, items);
}

function mark(machine: PickleMachine): void {
  machine.mark();
}

function pop(machine: PickleMachine): void {
  machine.pop();
}

function popMark(machine: PickleMachine): void {
  machine.popToMark();
}

function binPut(machine: PickleMachine): void {
  machine.remember(machine.uint8());
}

function longBinPut(machine: PickleMachine): void {
  machine.remember(machine.uint32());
}

function memoize(machine: PickleMachine): void {
  machine.remember();
}

function binGet(machine: PickleMachine): void {
  machine.recall(machine.uint8());
}

function longBinGet(machine: PickleMachine): void {
  machine.recall(machine.uint32());
}

/** Makes an operation of a function that never takes long. */
function short(run: (machine: PickleMachine) => void): Operation {
  return (machine) => {
    run(machine);
    return undefined;
  };
}

/** Makes an operation that pushes the result of `read`. */
function pushing(read: (machine: PickleMachine) => PickleValue): Operation {
  return short((machine) => {
    machine.push(read(machine));
  });
}

/** The operations that torch.save writes for state dicts with protocols 2 to 5, and those for other plain values. */
export const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [0x80, short(proto)],
  [0x95, short(frame)],
  [0x28, short(mark)],
  [0x30, short(pop)],
  [0x31, short(popMark)],
  [0x4e, pushing(() => null)], // NONE
  [0x88, pushing(() => true)], // NEWTRUE
  [0x89, pushing(() => false)], // NEWFALSE
  [0x4a, pushing((m) => m.int32())], // BININT
  [0x4b, pushing((m) => m.uint8())], // BININT1
  [0x4d, pushing((m) => m.uint16())], // BININT2
  [0x8a, pushing((m) => m.integer(m.uint8()))], // LONG1
  [0x8b, pushing((m) => m.integer(m.uint32()))], // LONG4
  [0x47, pushing((m) => m.float64())], // BINFLOAT
  [0x54, pushing((m) => m.string(m.uint32()))], // BINSTRING
  [0x55, pushing((m) => m.string(m.uint8()))], // SHORT_BINSTRING
  [0x58, pushing((m) => m.string(m.uint32()))], // BINUNICODE
  [0x8c, pushing((m) => m.string(m.uint8()))], // SHORT_BINUNICODE
  [0x8d, pushing((m) => m.string(m.uint64()))], // BINUNICODE8
  [0x42, pushing((m) => m.bytes(m.uint32()))], // BINBYTES
  [0x43, pushing((m) => m.bytes(m.uint8()))], // SHORT_BINBYTES
  [0x8e, pushing((m) => m.bytes(m.uint64()))], // BINBYTES8
  [0x96, pushing((m) => m.bytes(m.uint64()))], // BYTEARRAY8
  [0x29, pushing(() => [])], // EMPTY_TUPLE
  [0x85, pushing((m) => popTuple(m, 1))],
  [0x86, pushing((m) => popTuple(m, 2))],
  [0x87, pushing((m) => popTuple(m, 3))],
  [0x74, pushing((m) => m.popToMark())], // TUPLE
  [0x5d, pushing(() => [])], // EMPTY_LIST
  [0x6c, pushing((m) => m.popToMark())], // LIST
  [0x61, short(append)],
  [0x65, short(appends)],
  [0x7d, pushing(() => new PickledDict())], // EMPTY_DICT
  [0x64, dictFromMark], // DICT
  [0x8f, pushing(() => ({ kind: 'set', items: [] }))], // EMPTY_SET
  [0x90, short(addToSet)],
  [0x73, setItem],
  [0x75, updateFromMark],
  [0x71, short(binPut)],
  [0x72, short(longBinPut)],
  [0x94, short(memoize)],
  [0x68, short(binGet)],
  [0x6a, short(longBinGet)],
  [0x63, short(global)],
  [0x93, short(stackGlobal)],
  [0x69, short(inst)],
  [0x52, reduce],
  [0x62, short(build)],
  [0x51, pushing((m) => persistentStorage(m.pop(), m.fail))], // BINPERSID
]);

/** Python's other operations. They make objects that a state dict does not need, or belong to protocols 0 and 1. */
export const REFUSED: ReadonlyMap<number, string> = new Map([
  [0x81, 'NEWOBJ'],
  [0x92, 'NEWOBJ_EX'],
  [0x6f, 'OBJ'],
  [0x50, 'PERSID'],
  [0x82, 'EXT1'],
  [0x83, 'EXT2'],
  [0x84, 'EXT4'],
  [0x91, 'FROZENSET'],
  [0x97, 'NEXT_BUFFER'],
  [0x98, 'READONLY_BUFFER'],
  [0x32, 'DUP'],
  [0x46, 'FLOAT'],
  [0x49, 'INT'],
  [0x4c, 'LONG'],
  [0x53, 'STRING'],
  [0x56, 'UNICODE'],
  [0x67, 'GET'],
  [0x70, 'PUT'],
]);
