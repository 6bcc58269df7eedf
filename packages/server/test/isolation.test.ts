/** No answer has another request's data, whatever a model's JavaScript does with its input and its results. */
import { type AnyTensor, Flatten, Module, Tensor } from 'tokenlearner';
import type { InferenceServer } from '@tokenlearner/server';
import { clientOf } from './grpc-support';
import { binaryMessage, binaryReply, bodyOf, bytes, floats, INFER, jsonInput, jsonMessage } from './support';
import { type Message, post, RawClient, start, urlOf } from './support';

/** So large that the sockets of a connection do not hold an answer. */
const NUMBERS = 2 ** 21;

/** Returns its input, or a view of it. */
class Same extends Module {
  override forward(x: Tensor): Promise<Tensor> {
    return Promise.resolve(x);
  }
}
class View extends Module {
  override forward(x: Tensor): Promise<Tensor> {
    return Promise.resolve(x.view([-1]));
  }
}
/** Returns the input of the call before, which it has kept; for the first call its own input. */
class Previous extends Module {
  #kept: Tensor | undefined;
  override forward(x: Tensor): Promise<Tensor> {
    const before = this.#kept ?? x;
    this.#kept = x;
    return Promise.resolve(before);
  }
}
/** Returns a tensor that it keeps, and writes at each call. */
class Accumulator extends Module {
  #sum = Tensor.zeros([0]);
  override forward(x: Tensor): Promise<Tensor> {
    if (this.#sum.numel === 0) this.#sum = Tensor.zeros([x.numel]);
    this.#sum.data.set(x.data);
    return Promise.resolve(this.#sum);
  }
}
/** Returns all memory that it can reach from its input. */
class Around extends Module {
  override forward(x: Tensor): Promise<Tensor> {
    return Promise.resolve(Tensor.from(new Float32Array(x.data.buffer)));
  }
}

const filled = (value: number, length = NUMBERS): Tensor => Tensor.full([1, length], value);
const grpcRequest = (model: string, x: Tensor): object => ({
  model_name: model,
  inputs: [{ name: 'input', datatype: 'FP32', shape: x.shape }],
  raw_input_contents: [bytes(x)],
});
const message = (x: Tensor): Message => binaryMessage(x, {}, { parameters: { binary_data_output: true } });
/** True if an output has one number alone. */
const hasOnly = (value: number, output: Buffer): boolean =>
  new Float32Array(Uint8Array.from(output).buffer).every((each) => each === value);

const models: [string, () => Module][] = [
  ['its input', () => new Same()],
  ['a view of its input', () => new View()],
  ['a tensor that it writes again', () => new Accumulator()],
  ['a view, natively', () => new Flatten()],
];

describe.each(models)('a model that returns %s', (_, make) => {
  let server: InferenceServer;
  beforeEach(async () => {
    server = await start({ models: { m: make() } });
  });

  it('gives a slow reader over HTTP its own data', async () => {
    const slow = new RawClient(server.address?.httpPort ?? 0);
    await slow.post(INFER, message(filled(1)));
    await new Promise((resolve) => slow.socket.once('data', resolve));
    slow.socket.pause();
    for (let i = 0; i < 2; i++) {
      const { head, body } = message(filled(2));
      const other = await fetch(urlOf(server, INFER), {
        method: 'POST',
        headers: { ...head, 'Accept-Encoding': 'identity' },
        body,
      });
      const start = Number(other.headers.get('inference-header-content-length'));
      expect(hasOnly(2, Buffer.from(await other.arrayBuffer()).subarray(start))).toBe(true);
    }
    slow.socket.resume();
    expect(hasOnly(1, binaryReply(await slow.reply()).binary)).toBe(true);
    slow.close();
  });

  it('gives each of many calls over gRPC its own data', async () => {
    const call = clientOf(server);
    const values = Array.from({ length: 48 }, (_, i) => i + 1);
    const answers = await Promise.all(
      values.map(async (value) => {
        const x = filled(value, 10_000);
        const {
          raw_output_contents: [output],
        } = await call('ModelInfer', grpcRequest('m', x));
        return hasOnly(value, output ?? Buffer.alloc(4));
      }),
    );
    expect(answers).toEqual(values.map(() => true));
  });
});

it.each(['http', 'grpc'])('a model in JavaScript has input memory of its own over %s', async (protocol) => {
  const server = await start({
    models: { around: new Around(), native: new Flatten(), previous: new Previous() },
  });
  const call = clientOf(server);
  /** Sends `length` times the value, of which memory for 1024 elements is taken. Returns the output. */
  const send = async (model: string, value: number, length: number): Promise<number[]> => {
    const x = filled(value, length);
    const output =
      protocol === 'http'
        ? binaryReply(await post(server, message(x), `/v2/models/${model}/infer`)).binary
        : (await call('ModelInfer', grpcRequest(model, x))).raw_output_contents[0];
    return floats(output ?? Buffer.alloc(0));
  };
  const times = (value: number, length: number): number[] => Array.from({ length }, () => value);
  expect(await send('native', 7, 1000)).toEqual(times(7, 1000));
  expect(await send('around', 1, 600)).toEqual(times(1, 600));
  expect(await send('previous', 3, 600)).toEqual(times(3, 600));
  for (const model of ['native', 'around']) await send(model, 4, 600);
  expect(await send('previous', 6, 600)).toEqual(times(3, 600));
});

it.each([1, 20_000])('a model may keep what it returns, of %i numbers', async (length) => {
  const kept = Tensor.full([length], 5);
  class Constant extends Module {
    override forward(): Promise<Tensor> {
      return Promise.resolve(kept);
    }
  }
  const server = await start({ models: { m: new Constant() } });
  for (let i = 0; i < 3; i++) {
    const { status, body } = await post(server, jsonMessage({ inputs: [jsonInput(filled(1, 1))] }));
    expect([status, body.includes('5,5') || length === 1]).toEqual([200, true]);
  }
  expect(kept.disposed).toBe(false);
});

describe.each(['float32', 'float64'] as const)('a permuted result in %s', (dtype) => {
  class Permuted extends Module {
    override forward(x: Tensor): Promise<AnyTensor> {
      return Promise.resolve(x.to(dtype).permute([1, 0]));
    }
  }

  it.each([3, 20_000])('arrives row by row, of 2 x %i numbers', async (length) => {
    const server = await start({ models: { m: new Permuted() } });
    const x = Tensor.randn([2, length]);
    const rows = x.permute([1, 0]).contiguous().to(dtype);
    const { outputs } = bodyOf(await post(server, binaryMessage(x)));
    expect(outputs).toMatchObject([{ shape: [length, 2], data: [...rows.data] }]);
    expect(binaryReply(await post(server, message(x))).binary).toEqual(bytes(rows as unknown as Tensor));
    const answer = await clientOf(server)('ModelInfer', grpcRequest('m', x));
    expect(answer.raw_output_contents).toEqual([bytes(rows as unknown as Tensor)]);
  });
});
