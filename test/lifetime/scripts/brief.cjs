// Forwards that are small enough to run during the call. Checks timers, a long forward in progress, and their input.
const { setTimeout } = require('node:timers');
const { Tensor, TokenLearner } = require('../../../dist');

const small = new TokenLearner({ dim: 4, numOutputTokens: 2, device: 'cpu' });
const input = Tensor.randn([4, 3, 3]);

/** Counts the forwards that finish before a timer of 5 ms fires. */
async function untilTimer() {
  let fired = false;
  setTimeout(() => (fired = true), 5);
  let count = 0;
  while (!fired && count < 1e6) {
    await small.forward(input);
    count += 1;
  }
  return { fired, count };
}

/** True if a small forward finishes while a large one uses all cores. */
async function besideLarge() {
  const large = new TokenLearner({ dim: 128, ffMult: 4, numOutputTokens: 16, device: 'cpu' });
  let running = true;
  const done = large.forward(Tensor.randn([4, 128, 64, 64])).then(() => (running = false));
  await small.forward(input);
  const before = running;
  await done;
  return before;
}

/** True if the results come from the input as it was during the call. */
async function ofTheCall() {
  const values = Float32Array.from(input.data);
  const running = small.forward(Tensor.from(values, [4, 3, 3]));
  values.fill(0);
  const expected = small.forwardSync(input).data;
  return (await running).data.every((value, i) => value === expected[i]);
}

async function main() {
  // The first forward loads what it needs. Do not count it.
  await small.forward(input);
  let { fired, count } = await untilTimer();
  // Again where a pause of this process took the 5 ms.
  while (fired && count <= 1) ({ fired, count } = await untilTimer());
  console.log(
    JSON.stringify({
      fired,
      several: count > 1,
      besideLarge: await besideLarge(),
      ofTheCall: await ofTheCall(),
    }),
  );
}

void main();
