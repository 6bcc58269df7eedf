// Adds setters and getters to the prototypes of native code's objects. Our calls must never run them, and results must stay
// correct. This needs its own process, since a test's sandbox has other prototypes than native code.
const { Linear, Sequential, Tensor, TokenLearner } = require('../../../dist');

const model = new TokenLearner({ dim: 4, numOutputTokens: 2, device: 'cpu' });
const values = Float32Array.from({ length: 36 }, (_, i) => Math.sin(i));

async function numbers() {
  const input = Tensor.from(values, [4, 3, 3]).clone();
  const { tokens, attention } = await model.forward(input, { returnAttention: true });
  const moved = new Sequential(new Linear(2, 1, { device: 'cpu' })).to('float64');
  moved.loadStateDict(moved.stateDict());
  const sync = model.forwardSync(input.reshape([1, 4, 3, 3]), { layout: 'tokens-first' });
  const other = Tensor.ones([2, 3]).transpose(0, 1).clone();
  const made = [Tensor.arange(4), Tensor.eye(2)].flatMap(({ data }) => [...data]);
  return [...tokens.data, ...attention.data, ...sync.data, ...other.shape, moved.dtype, ...made].join(' ');
}

async function main() {
  const expected = await numbers();
  const faults = [];
  for (const [prototype, name] of [
    ...['0', '1', '2'].map((index) => [Array.prototype, index]),
    ...['storage', 'dtype', 'device', 'shape', 'strides', 'offset', 'code'].map((key) => [
      Object.prototype,
      key,
    ]),
    ...['returnAttention', 'tokensFirst', 'dim', 'engine', 'then'].map((key) => [Object.prototype, key]),
  ]) {
    let seen = 0;
    Object.defineProperty(prototype, name, {
      configurable: true,
      set() {
        seen += 1;
      },
      get: () => (name === 'then' ? undefined : 5),
    });
    const output = await numbers().catch(String);
    delete prototype[name];
    if (seen > 0 || output !== expected) faults.push(`${name}: ${seen} set, ${output}`);
  }
  console.log(JSON.stringify(faults));
}

void main();
