/** `tokenlearner serve`: the process, its signals and its models. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import {
  saveSafetensors,
  type StateDict,
  Tensor,
  TokenLearnerV10,
  TokenLearnerV11,
  type TokenPooling,
} from 'tokenlearner';
import { binaryMessage, CHANNELS, RawClient, smallModel } from './support';

const ROOT = path.resolve(__dirname, '..', '..', '..');
const CLI = path.join(ROOT, 'dist', 'cli', 'main.js');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-serve-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

interface Line {
  msg: string;
  httpPort?: number;
  [key: string]: unknown;
}

/** A server process, and the lines of its log. */
class Process {
  readonly child: ChildProcess;
  readonly lines: Line[] = [];
  errors = '';
  #wake: () => void = () => undefined;

  constructor(...args: string[]) {
    this.child = spawn(process.execPath, [CLI, 'serve', '--http-port', '0', '--grpc-port', '0', ...args]);
    children.push(this.child);
    const { stdout, stderr } = this.child;
    if (stdout === null || stderr === null) throw new Error('no pipes');
    createInterface({ input: stdout }).on('line', (line) => {
      this.lines.push(JSON.parse(line) as Line);
      this.#wake();
    });
    stderr.on('data', (chunk: Buffer) => {
      this.errors += chunk.toString();
    });
    this.child.on('exit', () => {
      this.#wake();
    });
  }

  /** Waits until the log has `times` lines of this message. */
  async line(msg: string, times = 1): Promise<Line> {
    for (;;) {
      const found = this.lines.filter((line) => line.msg === msg)[times - 1];
      if (found !== undefined) return found;
      if (this.child.exitCode !== null) throw new Error(`ended: ${this.errors}${JSON.stringify(this.lines)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async port(): Promise<number> {
    return (await this.line('ready')).httpPort ?? 0;
  }

  async exitCode(): Promise<number | null> {
    if (this.child.exitCode === null) await once(this.child, 'exit');
    return this.child.exitCode;
  }
}

async function weightsOf(model: TokenPooling, name: string): Promise<string> {
  const file = path.join(folder, name);
  await saveSafetensors(file, model.stateDict());
  return file;
}

const x = Tensor.randn([2, CHANNELS, 6, 6]);
const message = binaryMessage(x, {}, { parameters: { binary_data_output: true } });
const bits = (model: TokenPooling): string =>
  Buffer.from(model.forwardSync(x).data.slice().buffer).toString('hex');

async function infer(client: RawClient): Promise<{ status: number; tokens: string; close: boolean }> {
  await client.post('/v2/models/m/infer', message);
  const { status, headers, body } = await client.reply();
  return {
    status,
    tokens: body.subarray(Number(headers['inference-header-content-length'] ?? 0)).toString('hex'),
    close: headers.connection === 'close',
  };
}

it('serves the weights of a TokenLearnerV11', async () => {
  const model = new TokenLearnerV11({ dim: CHANNELS, numOutputTokens: 3, device: 'cpu' });
  const server = new Process('-m', `m=${await weightsOf(model, 'v11.safetensors')}`);
  const client = new RawClient(await server.port());
  expect(await infer(client)).toMatchObject({ status: 200, tokens: bits(model) });
  client.close();
});

it('serves weights whose names and shapes do not tell everything', async () => {
  const options = { pooling: 'mean', eps: 0.25, approximate: 'none' } as const;
  const model = new TokenLearnerV10({ dim: CHANNELS, numOutputTokens: 3, device: 'cpu', ...options });
  const file = path.join(folder, 'v10.safetensors');
  const [own, other] = [model.stateDict(), smallModel().stateDict()];
  const under = (prefix: string, dict: StateDict): StateDict =>
    Object.fromEntries(Object.entries(dict).map(([name, tensor]) => [prefix + name, tensor]));
  await saveSafetensors(file, { ...under('own.', own), ...under('other.', other) });
  const given = ['--prefix', 'own.', '--pooling', 'mean', '--eps', '0.25', '--approximate', 'none'];
  const server = new Process('-m', `m=${file}`, ...given);
  const client = new RawClient(await server.port());
  expect(await infer(client)).toMatchObject({ status: 200, tokens: bits(model) });
  client.close();
});

it("names the command's options in errors about models; those of a JavaScript module stay as they are", async () => {
  const at = (name: string): string => path.join(folder, name);
  const program = at('program.pt2');
  const two = at('two.safetensors');
  const own = at('own.mjs');
  writeFileSync(program, '');
  const dict = Object.entries(smallModel().stateDict());
  const both = ['a.', 'b.'].flatMap((prefix) =>
    dict.map(([name, tensor]) => [prefix + name, tensor] as const),
  );
  await saveSafetensors(two, Object.fromEntries(both));
  writeFileSync(
    own,
    `import { AotiModel } from ${JSON.stringify(path.join(ROOT, 'dist', 'index.mjs'))};\n` +
      `export default () => AotiModel.load(${JSON.stringify(program)}, {});\n`,
  );
  for (const [file, ...expected] of [
    [program, 'pass --trusted if you trust', '[ERR_UNTRUSTED_CODE]'],
    [two, 'choose one with --prefix: "a.", "b."'],
    [own, 'pass `trusted: true` if you trust'],
  ] as const) {
    const server = new Process('-m', `m=${file}`);
    expect(await server.exitCode()).toBe(1);
    for (const text of expected) expect(server.errors).toContain(text);
  }
  const keyed = new Process('-m', `m=${two}`, '--key', 'k');
  expect(await keyed.exitCode()).toBe(2);
  expect(keyed.errors).toContain('Expected no --key for');
});

it('serves weights; SIGTERM under load loses no request that was accepted', async () => {
  const model = smallModel();
  const server = new Process('-m', `m=${await weightsOf(model, 'a.safetensors')}`, '--log-level', 'info');
  const port = await server.port();
  const statuses: number[] = [];
  const lost: unknown[] = [];
  const load = Array.from({ length: 16 }, async () => {
    const client = new RawClient(port);
    for (;;) {
      try {
        const { status, tokens, close } = await infer(client);
        statuses.push(status);
        if (status === 200 && tokens !== bits(model)) lost.push('wrong numbers');
        if (close || status !== 200) break;
      } catch (error) {
        // The end of an idle connection is fine; the end of one that had begun to answer is not.
        if (!String(error).includes('closed after ""')) lost.push(error);
        break;
      }
    }
    client.close();
  });
  while (statuses.length < 200) await new Promise((resolve) => setTimeout(resolve, 2));
  server.child.kill('SIGTERM');
  await Promise.all(load);
  expect(await server.exitCode()).toBe(0);
  expect(lost).toEqual([]);
  expect(new Set(statuses)).toEqual(new Set(statuses.includes(503) ? [200, 503] : [200]));
  const succeeded = server.lines.filter(({ msg }) => msg === 'inference').length;
  expect(succeeded).toBe(statuses.filter((status) => status === 200).length);
});

it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s after the end leaves the exit code', async (signal) => {
  const server = new Process('-m', `m=${await weightsOf(smallModel(), 'end.safetensors')}`);
  await server.port();
  server.child.kill('SIGTERM');
  await server.line('closed');
  while (server.child.exitCode === null && server.child.signalCode === null) {
    server.child.kill(signal);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  expect([server.child.exitCode, server.child.signalCode]).toEqual([0, null]);
});

it('loads its models again on SIGHUP, under load, and loses nothing', async () => {
  const [before, after] = [smallModel(), smallModel()];
  const file = await weightsOf(before, 'b.safetensors');
  const server = new Process('-m', `m=${file}`);
  const port = await server.port();
  const known = [bits(before), bits(after)];
  const client = new RawClient(port);
  const traffic = { isDone: false };
  const seen = new Set<number>();
  const load = (async () => {
    while (!traffic.isDone) {
      const { status, tokens } = await infer(client);
      expect(status).toBe(200);
      seen.add(known.indexOf(tokens));
    }
  })();
  await weightsOf(after, 'b.safetensors');
  server.child.kill('SIGHUP');
  await server.line('models loaded again');
  expect((await infer(new RawClient(port))).tokens).toBe(known[1]);
  // A broken file leaves the model as it is.
  writeFileSync(file, 'nonsense');
  server.child.kill('SIGHUP');
  while (!server.lines.some(({ msg }) => msg.includes('could not be loaded')))
    await new Promise((resolve) => setTimeout(resolve, 5));
  traffic.isDone = true;
  await load;
  expect(seen.has(-1)).toBe(false);
  expect((await infer(client)).tokens).toBe(known[1]);
  client.close();
  server.child.kill('SIGINT');
  expect(await server.exitCode()).toBe(0);
});

it.each([
  ['a.mjs', 'export default'],
  ['b.cjs', 'module.exports ='],
])('serves a JavaScript module, %s, and runs it again on SIGHUP', async (name, head) => {
  const file = path.join(folder, name);
  const program = (dim: number): string =>
    `${name.endsWith('mjs') ? `import { TokenLearner } from ${JSON.stringify(path.join(ROOT, 'dist', 'index.mjs'))};` : `const { TokenLearner } = require(${JSON.stringify(path.join(ROOT, 'dist', 'index.js'))});`}
     ${head} () => new TokenLearner({ dim: ${dim}, device: 'cpu' });`;
  writeFileSync(file, program(3));
  const server = new Process('-m', `m=${file}`);
  const url = `http://127.0.0.1:${await server.port()}/v2/models/m`;
  const channels = async (): Promise<unknown> =>
    ((await (await fetch(url)).json()) as { inputs: { shape: number[] }[] }).inputs[0]?.shape[1];
  expect(await channels()).toBe(3);
  writeFileSync(file, program(5));
  server.child.kill('SIGHUP');
  await server.line('models loaded again');
  expect(await channels()).toBe(5);
  server.child.kill('SIGTERM');
  expect(await server.exitCode()).toBe(0);
});

it.each([
  ['mjs', "export { model as default } from './shared.mjs';"],
  ['mjs', "import { model, Sequential } from './shared.mjs'; export default () => new Sequential(model);"],
  ['cjs', "module.exports = require('./shared.cjs').model;"],
])('leaves a module that two programs share, %s: %s', async (ending, program) => {
  const [dependency = '', a = '', b = ''] = ['shared', 'a', 'b'].map((name) =>
    path.join(folder, `${name}.${ending}`),
  );
  const index = JSON.stringify(path.join(ROOT, 'dist', ending === 'mjs' ? 'index.mjs' : 'index.js'));
  const make = `new TokenLearner({ dim: ${CHANNELS}, device: 'cpu' })`;
  writeFileSync(
    dependency,
    ending === 'mjs'
      ? `import { Sequential, TokenLearner } from ${index}; export { Sequential }; export const model = ${make};`
      : `const { TokenLearner } = require(${index}); exports.model = ${make};`,
  );
  for (const file of [a, b]) writeFileSync(file, program);
  const server = new Process('-m', `m=${a}`, '-m', `other=${b}`);
  const client = new RawClient(await server.port());
  const first = await infer(client);
  expect(first.status).toBe(200);
  for (const times of [1, 2]) {
    server.child.kill('SIGHUP');
    await server.line('models loaded again', times);
    expect(await infer(client)).toEqual(first);
  }
  client.close();
  server.child.kill('SIGTERM');
  expect(await server.exitCode()).toBe(0);
});

describe('a JavaScript module with a timer that goes on', () => {
  let file: string;
  beforeAll(() => {
    file = path.join(folder, 'timer.cjs');
    writeFileSync(
      file,
      `const { TokenLearner } = require(${JSON.stringify(path.join(ROOT, 'dist', 'index.js'))});
       setInterval(() => undefined, 1000);
       module.exports = () => new TokenLearner({ dim: 3, device: 'cpu' });`,
    );
  });

  it('ends on SIGTERM', async () => {
    const server = new Process('-m', `m=${file}`);
    await server.port();
    server.child.kill('SIGTERM');
    expect(await server.exitCode()).toBe(0);
  });

  it('ends after a start that failed', async () => {
    const server = new Process('-m', `m=${file}`, '-m', 'n=/no/such/file.safetensors');
    expect(await server.exitCode()).toBe(1);
    expect(server.errors).toMatch(/ERR_FILE_IO/);
  });
});

it.each([
  ['syntax.cjs', 'no code', /syntax\.cjs failed: Unexpected .*syntax\.cjs:1\) \[ERR_FILE_FORMAT\]/],
  ['null.mjs', 'throw null;', /null\.mjs failed: null \[ERR_FILE_FORMAT\]/],
  ['LOUD.CJS', 'throw new Error("loud");', /LOUD\.CJS failed: .* \[ERR_FILE_FORMAT\]/],
])('names a JavaScript module that fails: %s', async (name, code, message) => {
  const file = path.join(folder, name);
  writeFileSync(file, code);
  const server = new Process(
    '-m',
    `m=${await weightsOf(smallModel(), 'beside.safetensors')}`,
    '-m',
    `n=${file}`,
  );
  expect(await server.exitCode()).toBe(1);
  expect(server.errors).toMatch(message);
});

it.each<[string[], number, RegExp]>([
  [[], 2, /--model/],
  [['-m', 'x'], 2, /NAME=PATH/],
  [['-m', 'm=a', '-m', 'm=b'], 2, /twice/],
  [['-m', 'm=a', '--tls-cert', 'x'], 2, /go together/],
  [
    ['-m', 'm=a.mjs', '--engine', 'fused'],
    2,
    /--engine does not apply to a\.mjs, which is a JavaScript module/,
  ],
  [['-m', 'm=a.mjs', '--eps', '1e-5'], 2, /--eps does not apply to a\.mjs, which is a JavaScript module/],
  [['-m', 'm=a', '--max-batch-size', 'many'], 2, /whole number/],
  [['-m', 'm=a', '--metrics-port', '70000'], 2, /from 0 to 65535 for --metrics-port .*\[ERR_OUT_OF_RANGE\]/],
  [['-m', 'm=a', '--timeout-ms', '1e12'], 2, /for --timeout-ms/],
  [['-m', 'm=a', '--devices', 'cpu', '--device', 'cpu'], 2, /either --devices or --device, not both/],
  [['-m', 'm=a', '--host', '0.0.0.0'], 2, /--token-file.*--insecure/],
  [['-m', 'm=/no/such/file.safetensors'], 1, /ERR_FILE_IO/],
])('refuses %j', async (args, code, message) => {
  const server = new Process(...args);
  expect(await server.exitCode()).toBe(code);
  expect(server.errors).toMatch(message);
  expect(server.errors).not.toMatch(/\n\s+at /);
});
