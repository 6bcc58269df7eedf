// Submits long forwards and ends the process some milliseconds later, in one of several ways.
const { Tensor, TokenLearner } = require('../../../dist');

const [how, delay] = [process.argv[2], Number(process.argv[3])];
const model = new TokenLearner({ dim: 128, device: 'cpu' });
const input = Tensor.randn([2, 128, 64, 64]);
const forwards = [model.forward(input), model.forward(input), model.forward(input)];
forwards.forEach((forward) => forward.catch(() => undefined));

setTimeout(() => {
  if (how === 'exit') process.exit(7);
  if (how === 'throw') throw new Error('on purpose');
  if (how === 'sync') {
    model.forwardSync(input);
    process.exit(7);
  }
}, delay);

if (how === 'wait') void Promise.all(forwards).then((outputs) => console.log(JSON.stringify(outputs.length)));
