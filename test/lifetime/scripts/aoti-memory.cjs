// Runs a program many times, loads it many times, and gives it weights many times. Prints the resident memory after each part, in MB.
const { AotiModel, Tensor } = require('../../../dist');

const file = process.argv[2];
const input = Tensor.randn([64, 3, 16, 16]);

/** A program of its own, so that nothing but the library stays. */
async function lives(count, work) {
  for (let i = 0; i < count; i++) {
    const model = await AotiModel.load(file, { trusted: true });
    await work(model);
    model.dispose();
  }
}

async function settled() {
  global.gc();
  await new Promise((resolve) => setTimeout(resolve, 20));
  return process.memoryUsage.rss() / 1e6;
}

async function main() {
  const model = await AotiModel.load(file, { trusted: true });
  for (let i = 0; i < 500; i++) await model.forward(input);
  const weights = model.stateDict();
  await lives(10, (each) => each.loadStateDict(weights));
  const megabytes = [await settled()];
  for (let i = 0; i < 5000; i++) await model.forward(input);
  megabytes.push(await settled());
  await lives(200, (each) => each.forward(input));
  megabytes.push(await settled());
  for (let i = 0; i < 200; i++) model.loadStateDict(weights);
  megabytes.push(await settled());
  console.log(JSON.stringify(megabytes));
}

void main();
