// Moves the ArrayBuffer of a tensor. The memory must keep its numbers at its new place, and the tensor must throw ERR_DETACHED.
// Only the byte stream works without ArrayBuffer.prototype.transfer (Node 22).
const { ReadableStream } = require('node:stream/web');
const { setImmediate } = require('node:timers/promises');
const { Tensor, TokenLearner } = require('../../../dist');

const COUNT = 1 << 18;
const canTransfer = ArrayBuffer.prototype.transfer !== undefined;

async function churn() {
  for (let i = 0; i < 10; i++) {
    globalThis.gc();
    for (let k = 0; k < 4; k++) Tensor.full([COUNT], 7).dispose();
    await setImmediate();
  }
}

function code(use) {
  try {
    use();
    return 'none';
  } catch (error) {
    return error.code;
  }
}

const byStream = async (buffer) => {
  const stream = new ReadableStream({
    type: 'bytes',
    start(controller) {
      controller.enqueue(new Uint8Array(buffer));
      controller.close();
    },
  });
  return (await stream.getReader().read()).value.buffer;
};

const movers = { stream: byStream };
if (canTransfer) {
  movers.transfer = (buffer) => buffer.transfer();
  movers.transferToFixedLength = (buffer) => buffer.transferToFixedLength();
  movers['transfer twice'] = (buffer) => buffer.transfer().transfer();
  movers.structuredClone = (buffer) => {
    const moved = buffer.transfer();
    return structuredClone(moved, { transfer: [moved] });
  };
}

/** The names of the expectations that fail after `move`. */
async function faultsOf(move) {
  const faults = [];
  const expect = (name, holds) => holds || faults.push(name);
  const tensor = Tensor.ones([COUNT]);
  const view = tensor.reshape([2, COUNT / 2]);
  const moved = await move(tensor.data.buffer);
  expect('moved', moved.byteLength === COUNT * 4);
  for (const [name, use] of [
    ['data', () => tensor.data],
    ['data of a view', () => view.data],
    ['clone', () => view.clone()],
    [
      'forwardSync',
      () => new TokenLearner({ dim: 2, device: 'cpu' }).forwardSync(view.reshape([2, 512, 256])),
    ],
  ]) {
    expect(name, code(use) === 'ERR_DETACHED');
  }
  tensor.dispose();
  view.dispose();
  await churn();
  expect(
    'numbers',
    new Float32Array(moved).every((value) => value === 1),
  );
  return faults;
}

/** True if a forward gives correct results although its input's memory is moved during the run. */
async function moveUnderRun() {
  const model = new TokenLearner({ dim: 32, device: 'cpu' });
  const input = Tensor.randn([16, 32, 64, 64]);
  const expected = model.forwardSync(input).data;
  const running = model.forward(input);
  if (canTransfer) input.data.buffer.transfer();
  input.dispose();
  await churn();
  const { data } = await running;
  return data.every((value, i) => value === expected[i]);
}

async function main() {
  const faults = {};
  for (const [name, move] of Object.entries(movers)) faults[name] = await faultsOf(move);
  console.log(JSON.stringify({ faults, underRun: await moveUnderRun() }));
}

void main();
