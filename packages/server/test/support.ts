/** Servers for tests, and clients that know the protocol and nothing of this server. */
import { connect, type Socket } from 'node:net';
import { Module, Tensor, TokenLearner } from 'tokenlearner';
import { createServer, type InferenceServer, type ServerOptions } from '@tokenlearner/server';

const open: InferenceServer[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close({ gracePeriodMs: 0 });
});

/** Starts a server on free ports; it is closed after the test. */
export async function start(options: ServerOptions): Promise<InferenceServer> {
  const server = createServer({ httpPort: 0, grpcPort: 0, ...options });
  open.push(server);
  await server.listen();
  return server;
}

export function urlOf(server: InferenceServer, path = ''): string {
  return `http://127.0.0.1:${server.address?.httpPort ?? 0}${path}`;
}

export async function metricsOf(server: InferenceServer): Promise<string> {
  return (await fetch(urlOf(server, '/metrics'))).text();
}

/** Returns once that many requests wait in the queue of the model `m`. */
export async function untilWaiting(server: InferenceServer, count: number): Promise<void> {
  const line = `nv_inference_pending_request_count{model="m",version="1"} ${count}`;
  while (!(await metricsOf(server)).includes(line));
}

export const CHANNELS = 4;
export const GROUPS = 2;

export function smallModel(): TokenLearner {
  return new TokenLearner({ dim: CHANNELS, numOutputTokens: GROUPS, device: 'cpu' });
}

/** A module that answers when the test says so. */
export class Gate extends Module {
  readonly started: (() => void)[] = [];
  #opened = false;
  aborted = 0;

  override async forward(x: Tensor, { signal }: { signal?: AbortSignal } = {}): Promise<Tensor> {
    signal?.addEventListener('abort', () => {
      this.aborted += 1;
    });
    if (!this.#opened)
      await new Promise<void>((resolve) => {
        this.started.push(resolve);
      });
    return Tensor.from([x.numel]);
  }

  open(): void {
    this.#opened = true;
    for (const resolve of this.started.splice(0)) resolve();
  }
}

/** Waits until a condition holds; the test's own time limit ends it otherwise. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

export function bytes(tensor: Tensor): Buffer {
  const { data } = tensor;
  return Buffer.from(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}

export function floats(buffer: Buffer): number[] {
  return Array.from({ length: buffer.length / 4 }, (_, i) => buffer.readFloatLE(4 * i));
}

export interface Message {
  head: Record<string, string>;
  body: Buffer;
}

/** A request with the binary tensor extension. */
export function binaryMessage(x: Tensor, more: object = {}, json: object = {}): Message {
  const text = Buffer.from(
    JSON.stringify({
      inputs: [
        {
          name: 'input',
          shape: x.shape,
          datatype: 'FP32',
          parameters: { binary_data_size: x.byteLength },
          ...more,
        },
      ],
      ...json,
    }),
  );
  return {
    head: { 'Inference-Header-Content-Length': String(text.length) },
    body: Buffer.concat([text, bytes(x)]),
  };
}

export interface Reply {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

/** An HTTP/1.1 client on a socket of its own, which sends exactly what it is told to. */
export class RawClient {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #wake: () => void = () => undefined;
  closed = false;

  constructor(port: number, host = '127.0.0.1') {
    this.socket = connect(port, host);
    this.socket.setNoDelay(true);
    this.socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    this.socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
    this.socket.on('error', () => undefined);
  }

  send(data: string | Buffer): Promise<void> {
    return new Promise((resolve) =>
      this.socket.write(data, () => {
        resolve();
      }),
    );
  }

  post(path: string, { head, body }: Message): Promise<void> {
    const fields = { Host: 'test', 'Content-Length': String(body.length), ...head };
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
    return this.send(Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), body]));
  }

  /** The next reply. Rejects if the connection closes before it is whole. */
  async reply(): Promise<Reply> {
    for (;;) {
      const end = this.#received.indexOf('\r\n\r\n');
      if (end >= 0) {
        const [first = '', ...lines] = this.#received.subarray(0, end).toString('latin1').split('\r\n');
        const headers = Object.fromEntries(
          lines.map((line) => [
            line.slice(0, line.indexOf(':')).toLowerCase(),
            line.slice(line.indexOf(':') + 1).trim(),
          ]),
        );
        const length = Number(headers['content-length'] ?? 0);
        const start = end + 4;
        if (this.#received.length >= start + length) {
          const body = Buffer.from(this.#received.subarray(start, start + length));
          this.#received = this.#received.subarray(start + length);
          return { status: Number(first.split(' ')[1]), headers, body };
        }
      }
      if (this.closed) throw new Error(`closed after ${JSON.stringify(this.#received.toString('latin1'))}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Splits a reply of the binary tensor extension. */
export function binaryReply({ headers, body }: Reply): { json: InferenceJson; binary: Buffer } {
  const length = Number(headers['inference-header-content-length'] ?? body.length);
  return {
    json: JSON.parse(body.subarray(0, length).toString()) as InferenceJson,
    binary: body.subarray(length),
  };
}

export interface InferenceJson {
  model_name: string;
  model_version: string;
  id?: string;
  error?: string;
  outputs: {
    name: string;
    datatype: string;
    shape: number[];
    data?: number[];
    parameters?: Record<string, number>;
  }[];
}

/** The endpoint of the model `m`. */
export const INFER = '/v2/models/m/infer';

/** Sends one request on a connection of its own. */
export async function post(server: InferenceServer, message: Message, path = INFER): Promise<Reply> {
  const client = new RawClient(server.address?.httpPort ?? 0);
  await client.post(path, message);
  const reply = await client.reply();
  client.close();
  return reply;
}

/** A request in JSON alone. */
export function jsonMessage(request: unknown, head: Record<string, string> = {}): Message {
  return {
    head: { 'Content-Type': 'application/json', ...head },
    body: Buffer.from(JSON.stringify(request)),
  };
}

/** An input of such a request. */
export function jsonInput(x: Tensor, more: object = {}): object {
  return { name: 'input', shape: x.shape, datatype: 'FP32', data: Array.from(x.data), ...more };
}

export const bodyOf = ({ body }: Reply): InferenceJson => JSON.parse(body.toString()) as InferenceJson;
