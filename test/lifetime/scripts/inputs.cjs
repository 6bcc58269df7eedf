// Removes a forward's input in several ways while the forward runs. Prints for each way if the results were correct.
const { MessageChannel } = require('node:worker_threads');
const { setImmediate } = require('node:timers/promises');
const { Tensor, TokenLearner } = require('../../../dist');

const SHAPE = [4, 32, 32, 32];
const model = new TokenLearner({ dim: 32, device: 'cpu' });
const values = Float32Array.from(Tensor.randn(SHAPE).data);
const expected = model.forwardSync(Tensor.from(values, SHAPE)).data;

const ways = {
  disposed: () => {
    const input = Tensor.from(values, SHAPE).clone();
    const running = model.forward(input);
    input.dispose();
    return running;
  },
  collected: () => model.forward(Tensor.from(values, SHAPE).clone()),
  transferred: () => {
    const array = values.slice();
    const running = model.forward(Tensor.from(array, SHAPE));
    new MessageChannel().port1.postMessage(array.buffer, [array.buffer]);
    return running;
  },
  'module disposed': () => {
    const own = TokenLearner.fromStateDict(model.stateDict(), { device: 'cpu' });
    const running = own.forward(Tensor.from(values, SHAPE));
    own.dispose();
    return running;
  },
  'parameters replaced': () => {
    const own = TokenLearner.fromStateDict(model.stateDict(), { device: 'cpu' });
    const running = own.forward(Tensor.from(values, SHAPE));
    own.loadStateDict(new TokenLearner({ dim: 32, device: 'cpu' }).stateDict());
    return running;
  },
};

async function main() {
  const right = {};
  for (const [name, start] of Object.entries(ways)) {
    const running = Array.from({ length: 4 }, start);
    // Overwrite memory that was freed.
    for (let i = 0; i < 10; i++) {
      globalThis.gc();
      Tensor.full(SHAPE, i).dispose();
      await setImmediate();
    }
    const outputs = await Promise.all(running);
    right[name] = outputs.every(
      ({ data }) => Buffer.compare(Buffer.from(data.buffer), Buffer.from(expected.buffer)) === 0,
    );
  }
  console.log(JSON.stringify(right));
}

void main();
