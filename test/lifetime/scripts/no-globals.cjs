// Forwards and sweeps must work after a script has replaced globals, and with a getter on a prototype that disposes tensors.
const { Tensor, TokenLearner } = require('../../../dist');

const model = new TokenLearner({ dim: 4, device: 'cpu' });
const input = Tensor.randn([4, 64, 64]);
const expected = [...model.forwardSync(input).data];
const kept = Array.from({ length: 100 }, () => Tensor.zeros([1 << 16]));
globalThis.ArrayBuffer = undefined;
globalThis.Uint8Array = undefined;
let disposals = 0;
Object.defineProperty(Object.prototype, 'transfer', {
  get() {
    kept.pop()?.dispose();
    disposals += 1;
    return undefined;
  },
});

// Enough new memory for several sweeps: one runs after every 64 MB.
for (let i = 0; i < 1500; i++) Tensor.full([1 << 16], i).data[0] += 1;
const output = [...model.forwardSync(input).data];
const same = output.every((value, i) => value === expected[i]);
console.log(JSON.stringify({ same, disposals, sum: kept.reduce((sum, tensor) => sum + tensor.data[0], 0) }));
