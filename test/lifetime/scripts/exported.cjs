// Node's own calls use memory that JavaScript has seen, while its tensor is disposed and collected. Prints for each way if the
// bytes were correct.
const crypto = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { ReadableStream } = require('node:stream/web');
const { setImmediate, setTimeout } = require('node:timers/promises');
const { promisify } = require('node:util');
const zlib = require('node:zlib');
const { Tensor, TokenLearner } = require('../../../dist');

const COUNT = 1 << 18;
const model = new TokenLearner({ dim: 64, ffMult: 1, numOutputTokens: 16, device: 'cpu' });

/** Frees all memory that can be freed, and overwrites it. */
async function churn() {
  for (let i = 0; i < 10; i++) {
    globalThis.gc();
    for (let k = 0; k < 4; k++) Tensor.full([COUNT], 7).dispose();
    await setImmediate();
  }
}

/** Calls `use` with the data of a tensor of ones. Nothing else holds the tensor. Disposes it as soon as `use` returns. */
function lent(use) {
  const tensor = Tensor.ones([COUNT]);
  const result = use(tensor.data);
  tensor.dispose();
  return result;
}

const isOnes = (bytes) => new Float32Array(bytes.buffer.slice(0, COUNT * 4)).every((value) => value === 1);

const ways = {
  async socket() {
    const server = net.createServer((socket) => {
      lent((data) => socket.end(new Uint8Array(data.buffer)));
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const client = net.connect(server.address().port, '127.0.0.1');
    await churn();
    const chunks = [];
    for await (const chunk of client) chunks.push(chunk);
    server.close();
    return isOnes(new Uint8Array(Buffer.concat(chunks)));
  },

  async 'socket, of a result'() {
    const input = Tensor.randn([64, 64, 64]);
    const expected = Buffer.from(Float32Array.from(model.forwardSync(input).data).buffer);
    const server = net.createServer((socket) => {
      void model.forward(input).then((output) => {
        socket.end(new Uint8Array(output.data.buffer));
        output.dispose();
      });
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const client = net.connect(server.address().port, '127.0.0.1');
    await churn();
    const chunks = [];
    for await (const chunk of client) chunks.push(chunk);
    server.close();
    return Buffer.concat(chunks).equals(expected);
  },

  async randomFill() {
    const filled = Array.from({ length: 20 }, () => lent((data) => promisify(crypto.randomFill)(data)));
    await churn();
    const arrays = await Promise.all(filled);
    return arrays.every((data) => data.length === COUNT && !data.every((value) => value === 1));
  },

  async 'fs.read'() {
    const file = path.join(os.tmpdir(), `tokenlearner-exported-${process.pid}`);
    fs.writeFileSync(file, Buffer.alloc(COUNT * 4, 5));
    const fd = fs.openSync(file, 'r');
    const reads = Array.from({ length: 20 }, () =>
      lent((data) => promisify(fs.read)(fd, data, 0, COUNT * 4, 0).then(() => data)),
    );
    const others = Array.from({ length: 20 }, () => Tensor.ones([COUNT]));
    await churn();
    const arrays = await Promise.all(reads);
    fs.closeSync(fd);
    fs.unlinkSync(file);
    const untouched = others.every((other) => other.data.every((value) => value === 1));
    return untouched && arrays.every((data) => new Uint8Array(data.buffer).every((byte) => byte === 5));
  },

  async 'fs.write'() {
    const file = path.join(os.tmpdir(), `tokenlearner-exported-${process.pid}`);
    const written = lent((data) => fs.promises.writeFile(file, data));
    await churn();
    await written;
    const right = isOnes(new Uint8Array(fs.readFileSync(file)));
    fs.unlinkSync(file);
    return right;
  },

  async zlib() {
    const packed = lent((data) => promisify(zlib.deflate)(data));
    await churn();
    return isOnes(new Uint8Array(zlib.inflateSync(await packed)));
  },

  async 'byte stream'() {
    const stream = lent(
      (data) =>
        new ReadableStream({
          type: 'bytes',
          pull(controller) {
            controller.enqueue(new Uint8Array(data.buffer));
            controller.close();
          },
        }),
    );
    const { value } = await stream.getReader().read();
    await churn();
    return isOnes(new Uint8Array(value));
  },

  async 'BYOB read'() {
    const stream = new ReadableStream({
      type: 'bytes',
      async pull(controller) {
        await setTimeout(20);
        const { view } = controller.byobRequest;
        view.fill(5);
        controller.byobRequest.respond(view.byteLength);
      },
    });
    const reading = lent((data) => stream.getReader({ mode: 'byob' }).read(new Uint8Array(data.buffer)));
    await churn();
    const { value } = await reading;
    return value.length === COUNT * 4 && value.every((byte) => byte === 5);
  },

  async 'the data itself'() {
    const data = lent((array) => array);
    await churn();
    return data.length === COUNT && data.every((value) => value === 1);
  },

  async 'a view of it'() {
    const view = lent((array) => array.subarray(COUNT - 4));
    await churn();
    return view.length === 4 && view.every((value) => value === 1);
  },
};

async function main() {
  const right = {};
  for (const [name, run] of Object.entries(ways)) right[name] = await run();
  console.log(JSON.stringify(right));
}

void main();
