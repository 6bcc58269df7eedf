// Modules and tensors that threads share while they start, end and dispose in every order. The argument names the case.
// Prints what the case found, as JSON.
const { once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');
const {
  BroadcastChannel,
  isMainThread,
  parentPort,
  threadId,
  Worker,
  workerData,
} = require('node:worker_threads');
const { Linear, openShared, runtime, Sequential, Tensor, TokenLearner } = require('../../../dist');

const make = () => new Sequential(new TokenLearner({ dim: 16, device: 'cpu' }));
const input = () => Tensor.ones([8, 16, 32, 32]);
const codeOf = (run) => {
  try {
    run();
    return null;
  } catch (error) {
    return error.code;
  }
};
const start = (job, data = {}) => new Worker(module.filename, { workerData: { job, ...data } });
const bytes = (tensor) =>
  Buffer.from(tensor.copyTo(new Float32Array(tensor.numel)).buffer).toString('base64');

/** What a worker does. */
const jobs = {
  // Runs the model until it is terminated.
  async run({ token }) {
    const model = openShared(token);
    const x = input();
    for (let i = 0; ; i++) {
      await model.forward(x);
      if (i === 0) parentPort.postMessage('running');
    }
  },
  async once({ token }) {
    parentPort.postMessage(bytes(await openShared(token).forward(input())));
  },
  // Shares and ends.
  async owner() {
    const model = make();
    parentPort.postMessage({ token: model.share(), expected: bytes(await model.forward(input())) });
    await once(parentPort, 'message');
  },
  async mover({ seen }) {
    const y = await make().forward(input());
    const expected = bytes(y);
    if (seen) y.data.fill(3, 0, 4);
    parentPort.postMessage({ moved: y.move(), shared: Tensor.ones([4]).share(), expected });
  },
  // Reads, writes and forwards a shared tensor while others do.
  async reader({ token, model }) {
    const opened = openShared(token);
    const net = openShared(model);
    const before = bytes(await net.forward(opened));
    opened.copyFrom(new Float32Array(opened.numel).fill(threadId));
    parentPort.postMessage([before, opened.data[0] === threadId]);
  },
  async listener() {
    const channel = new BroadcastChannel('models');
    channel.onmessage = ({ data }) => {
      parentPort.postMessage(String(openShared(data)));
      channel.close();
    };
    parentPort.postMessage('ready');
  },
};

const cases = {
  // Workers that are terminated during a forward; the model is disposed before the last of them.
  async terminate() {
    const model = make();
    const token = model.share();
    const expected = bytes(model.forwardSync(input()));
    for (let i = 0; i < 12; i++) {
      const worker = start('run', { token });
      await once(worker, 'message');
      await sleep(i * 2);
      if (i === 10) model.dispose();
      await worker.terminate();
    }
    const worker = start('once', { token });
    const [answer] = await once(worker, 'message');
    token.dispose();
    const { liveShares } = runtime.memory();
    return { same: answer === expected, liveShares };
  },
  // The thread that shared ends before, and after, its module is opened.
  async owner() {
    const worker = start('owner');
    const [{ token, expected }] = await once(worker, 'message');
    const opened = openShared(token);
    const user = start('once', { token });
    const [answer] = await once(user, 'message');
    worker.postMessage('end');
    await once(worker, 'exit');
    const late = codeOf(() => openShared(token));
    const own = bytes(await opened.forward(input()));
    opened.dispose();
    return { late, same: answer === expected && own === expected };
  },
  // A worker moves its result and ends before anybody opens it; what it only shared ends with it.
  async move() {
    const found = [];
    for (const seen of [false, true]) {
      const worker = start('mover', { seen });
      // Wait for both from the start: Node can emit 'message' and 'exit' in one turn.
      const [[{ moved, shared, expected }]] = await Promise.all([
        once(worker, 'message'),
        once(worker, 'exit'),
      ]);
      const y = openShared(moved);
      const same = bytes(y) === expected;
      y.copyFrom(new Float32Array(y.numel).fill(2));
      found.push(
        same,
        y.data.every((each) => each === 2),
        codeOf(() => openShared(moved)),
        codeOf(() => openShared(shared)),
      );
      y.dispose();
    }
    return found;
  },
  async tensors() {
    const x = input();
    const net = make();
    const data = { token: x.share(), model: net.share() };
    const expected = bytes(net.forwardSync(x));
    const workers = Array.from({ length: 4 }, () => start('reader', data));
    const running = net.forward(x);
    x.copyFrom(new Float32Array(x.numel).fill(7));
    x.data.fill(8);
    const answers = await Promise.all(workers.map((worker) => once(worker, 'message')));
    x.dispose();
    const same = answers.every(([[before, own]]) => before === expected && own);
    return { same, running: bytes(await running) === expected, late: openShared(data.token).data[0] };
  },
  async broadcast() {
    const workers = Array.from({ length: 3 }, () => start('listener'));
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    const channel = new BroadcastChannel('models');
    channel.postMessage(new Linear(2, 3, { device: 'cpu' }).share());
    const texts = await Promise.all(workers.map((worker) => once(worker, 'message')));
    channel.close();
    return [...new Set(texts.flat())];
  },
};

async function main() {
  console.log(JSON.stringify(await cases[process.argv[2]]()));
}

void (isMainThread ? main() : jobs[workerData.job](workerData));
