/** deploy/ray: two servers that Ray placed, behind nginx; one is killed under load. `npm run test:deploy -- ray`. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { end, freePort, printed, root, until } from './services.mjs';

const { saveSafetensors, Tensor, TokenLearner } = createRequire(import.meta.url)('tokenlearner');

const CHANNELS = 4;
const CLIENTS = 8;
/** For each test; what it started is ended then. */
const TIMEOUT_MS = 120_000;

/** A file of a process in /proc; '' if it has ended. */
function processFile(pid, name) {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}
const commandOf = (pid) => processFile(pid, 'cmdline').split('\0');
const parentOf = (pid) => Number(/^PPid:\s(\d+)/m.exec(processFile(pid, 'status'))?.[1]);

/** A Python with Ray: scripts/deploy.mjs. */
const python = process.env.TEST_RAY;

describe('deploy/ray', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-ray-'));
  const weights = path.join(folder, 'weights.safetensors');
  const model = new TokenLearner({ dim: CHANNELS, numOutputTokens: 2, device: 'cpu' });
  const inputs = [3, 4, 5].map((size) => Tensor.randn([1, CHANNELS, size, size]));
  const messages = inputs.map((x) =>
    JSON.stringify({
      inputs: [{ name: 'input', shape: x.shape, datatype: 'FP32', data: Array.from(x.data) }],
    }),
  );
  const expected = inputs.map((x) => Array.from(model.forwardSync(x).data));
  let servers, proxy, url;

  const script = (name, ...args) =>
    spawn(python, ['-u', path.join(root, 'deploy', 'ray', name), ...args], {
      cwd: folder,
      env: { ...process.env, RAY_USAGE_STATS_ENABLED: '0', RAY_DEDUP_LOGS: '0' },
      stdio: ['ignore', 'pipe', process.env.TEST_VERBOSE ? 'inherit' : 'ignore'],
    });

  before(
    async (t) => {
      await saveSafetensors(weights, model.stateDict());
      const args = ['--address', 'local', '--app-dir', root, '--replicas', '2', '--cpus', '0.1'];
      servers = script('token_server.py', ...args, '--model', `m=${weights}`);
      const [, address] = (await printed(servers, /^ready /)).split(' ');
      const port = await freePort();
      proxy = script('proxy.py', '--address', address, '--port', `${port}`, '--work-dir', folder);
      url = `http://127.0.0.1:${port}/v2/models/m/infer`;
      await until(async () => (await post(messages[0]).catch(() => null))?.ok, t.signal);
    },
    { timeout: TIMEOUT_MS },
  );
  after(async () => {
    for (const child of [proxy, servers]) if (child) await end(child);
    for (const { pid } of nodeServers()) process.kill(pid, 'SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  /** The servers of this test that run: their processes, ports and parents. */
  function nodeServers() {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => ({ pid: Number(pid), words: commandOf(pid) }))
      .filter(({ words }) => words.includes(`m=${weights}`) && words.includes('serve'))
      .map(({ pid, words }) => {
        return { pid, parent: parentOf(pid), port: Number(words[words.indexOf('--http-port') + 1]) };
      });
  }

  /** The processes of this cluster with a title: those beside the replicas. */
  function actors(title) {
    const [{ parent: replica }] = nodeServers();
    const raylet = parentOf(replica);
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => commandOf(pid)[0] === title && parentOf(pid) === raylet);
  }

  const post = (body) =>
    fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });

  /** The requests that a server has answered. */
  async function answered(port) {
    const metrics = await fetch(`http://127.0.0.1:${port}/metrics`).then(
      (answer) => answer.text(),
      () => '',
    );
    return Number(/^nv_inference_request_success\{[^}]*\} (\d+)/m.exec(metrics)?.[1] ?? 0);
  }

  /** Clients that send one request after the other, again until it is answered, until `finish`. */
  function load(signal) {
    const counts = { answered: 0, wrong: 0, again: {} };
    const isOver = () => signal.aborted || isFinished;
    let isFinished = false;
    const send = async (i) => {
      for (; ; signal.throwIfAborted()) {
        const answer = await post(messages[i]).catch((error) => error.cause?.code ?? error);
        const body = await answer.text?.().catch(() => null);
        if (answer.ok && body) return JSON.parse(body);
        const reason = answer.status ?? answer;
        counts.again[reason] = (counts.again[reason] ?? 0) + 1;
        await setTimeout(20);
      }
    };
    const clients = Array.from({ length: CLIENTS }, async (_, client) => {
      for (let i = client; !isOver(); i++) {
        const { outputs } = await send(i % inputs.length);
        counts.answered += 1;
        const tokens = Array.from(Float32Array.from(outputs[0].data));
        if (!expected[i % inputs.length].every((value, k) => value === tokens[k])) counts.wrong += 1;
      }
    });
    // A client whose time is over has nobody who waits for it.
    for (const client of clients) client.catch(() => undefined);
    const finish = async () => {
      isFinished = true;
      await Promise.all(clients);
    };
    return { counts, finish };
  }

  /** Kills something under load, waits until two servers answer again, and says what the clients have seen. */
  async function killUnderLoad(kill, signal) {
    const old = nodeServers();
    assert.equal(old.length, 2);
    const { counts, finish } = load(signal);
    await until(
      async () => (await Promise.all(old.map(({ port }) => answered(port)))).every((n) => n > 20),
      signal,
    );
    kill(old[0]);
    const isNew = ({ pid }) => old.every((each) => each.pid !== pid);
    await until(async () => {
      const all = nodeServers();
      const [fresh] = all.filter(isNew);
      return all.length === 2 && fresh !== undefined && (await answered(fresh.port)) > 20;
    }, signal);
    await finish();
    assert.ok(nodeServers().some(({ pid }) => pid === old[1].pid));
    assert.equal(counts.wrong, 0);
    return counts;
  }

  it(
    'the actor that knows the servers is killed: requests go on, and it learns them again',
    { timeout: TIMEOUT_MS },
    async (t) => {
      const [actor] = actors('ray::Endpoints');
      const { counts, finish } = load(t.signal);
      await until(() => counts.answered > 20, t.signal);
      process.kill(actor, 'SIGKILL');
      await until(() => actors('ray::Endpoints').some((pid) => pid !== actor), t.signal);
      const before = counts.answered;
      await until(() => counts.answered > before + 20, t.signal);
      await finish();
      assert.equal(counts.wrong, 0);
    },
  );

  it(
    'a server that is killed under load loses no request, and comes back',
    { timeout: TIMEOUT_MS },
    async (t) => {
      const counts = await killUnderLoad(({ pid }) => process.kill(pid, 'SIGKILL'), t.signal);
      t.diagnostic(`${counts.answered} requests answered; sent again after: ${JSON.stringify(counts.again)}`);
    },
  );

  it(
    'a replica that is killed takes its server along, loses no request, and comes back',
    { timeout: TIMEOUT_MS },
    async (t) => {
      const counts = await killUnderLoad(({ parent }) => process.kill(parent, 'SIGKILL'), t.signal);
      t.diagnostic(`${counts.answered} requests answered; sent again after: ${JSON.stringify(counts.again)}`);
    },
  );

  it(
    'SIGTERM: the proxy and the servers finish what they have, and end',
    { timeout: TIMEOUT_MS },
    async (t) => {
      const { counts, finish } = load(t.signal);
      await until(() => counts.answered > 20, t.signal);
      await finish();
      assert.equal(await end(proxy), 0);
      assert.equal(await end(servers), 0);
      await until(() => nodeServers().length === 0, t.signal);
    },
  );
});
