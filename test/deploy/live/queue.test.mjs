/** examples/queue: jobs in Redis, workers as processes of their own, one of them killed in the middle. `npm run test:deploy -- queue`. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { end, printed, startRedis, until } from './services.mjs';

/** A copy of the example with its packages: scripts/deploy.mjs. */
const example = process.env.TEST_QUEUE;
const jobs = await import(pathToFileURL(path.join(example, 'jobs.mjs')));
const { saveNpy, saveSafetensors, Tensor, TokenLearner } = createRequire(path.join(example, 'jobs.mjs'))(
  'tokenlearner',
);

const CHANNELS = 8;
const CONCURRENCY = 16;
const JOBS = 200;
/** For each test; what it started is ended then. */
const TIMEOUT_MS = 60_000;

describe('examples/queue', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-queue-'));
  const weights = path.join(folder, 'weights.safetensors');
  const model = new TokenLearner({ dim: CHANNELS, numOutputTokens: 4, device: 'cpu' });
  const workers = [];
  let server, redis, queue;

  before(() => saveSafetensors(weights, model.stateDict()));
  beforeEach(async () => {
    server = await startRedis(folder);
    redis = jobs.connect(server.url);
    queue = jobs.openQueue(redis);
  });
  afterEach(async () => {
    for (const worker of workers.splice(0)) await end(worker, 'SIGKILL');
    await queue.close();
    await redis.quit();
    await end(server.child);
  });
  after(() => rmSync(folder, { recursive: true }));

  async function startWorker() {
    const env = { ...process.env, REDIS_URL: server.url, CONCURRENCY: `${CONCURRENCY}`, LOCK_MS: '1000' };
    const child = spawn(process.execPath, [path.join(example, 'worker.mjs'), weights], {
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    workers.push(child);
    await printed(child, /^ready$/);
    return child;
  }

  /** Waits until so many jobs have come to their end. */
  const ended = (count, signal) =>
    until(async () => {
      const { completed, failed } = await queue.getJobCounts('completed', 'failed');
      return completed + failed >= count;
    }, signal);

  const finished = async () => (await redis.xrange(jobs.FINISHED, '-', '+')).map(([, [, id]]) => id).sort();

  it(
    'stores each result once, with the numbers of forward, though a worker is killed in the middle',
    { timeout: TIMEOUT_MS },
    async (t) => {
      const inputs = Array.from({ length: JOBS }, (_, i) => Tensor.randn([1, CHANNELS, 8 + (i % 5), 16]));
      const ids = inputs.map((_, i) => `job-${i}`);
      // Jobs that no attempt can do: their channels are not the model's.
      const poison = ['poison-0', 'poison-1'];
      const first = await startWorker();
      await Promise.all([
        ...poison.map((id) => jobs.submit(queue, redis, id, Tensor.randn([1, CHANNELS + 1, 4, 4]))),
        ...inputs.map((x, i) => jobs.submit(queue, redis, ids[i], x)),
      ]);
      await ended(20, t.signal);
      await end(first, 'SIGKILL');
      // The kill came in the middle: it had jobs, and others wait.
      const { active, waiting } = await queue.getJobCounts('active', 'waiting');
      assert.ok(active > 0, `${active} jobs were active`);
      assert.ok(active + waiting > CONCURRENCY, `${active + waiting} jobs were left`);

      const second = await startWorker();
      await ended(JOBS + poison.length, t.signal);
      assert.deepEqual(await finished(), [...ids].sort());
      for (const [i, x] of inputs.entries()) {
        const tokens = await jobs.readResult(redis, ids[i]);
        assert.ok(tokens.equals(model.forwardSync(x)), `${ids[i]} has other numbers`);
      }
      const failed = await queue.getFailed();
      assert.deepEqual(
        failed.map(({ id, attemptsMade }) => [id, attemptsMade]).sort(),
        poison.map((id) => [id, 5]),
      );
      // Inputs go with their results; those of failed jobs stay.
      assert.deepEqual(
        (await redis.keys('*:input:*')).sort(),
        poison.map((id) => `${jobs.PREFIX}:input:${id}`),
      );
      for (const id of poison)
        await until(async () => (await redis.ttl(`${jobs.PREFIX}:input:${id}`)) > 0, t.signal);
      assert.equal(await end(second), 0);
    },
  );

  it(
    'a job that ran already keeps its result, not its input, and is not announced again',
    { timeout: TIMEOUT_MS },
    async (t) => {
      const other = Tensor.ones([1, CHANNELS, 4]);
      const data = Buffer.from(other.data.buffer, other.data.byteOffset, other.byteLength);
      await redis.hset(`${jobs.PREFIX}:result:again`, { shape: JSON.stringify(other.shape), data });
      await jobs.submit(queue, redis, 'again', Tensor.randn([1, CHANNELS, 4, 4]));
      await startWorker();
      await ended(1, t.signal);
      assert.ok((await jobs.readResult(redis, 'again')).equals(other));
      assert.deepEqual(await finished(), []);
      assert.deepEqual(await redis.keys('*:input:*'), []);
    },
  );

  it(
    'submit.mjs: files of one name and of any dtype have results of their own, those of float32',
    { timeout: TIMEOUT_MS },
    async () => {
      const files = ['a', 'b'].map((name) => path.join(folder, name, 'x.npy'));
      const inputs = ['float64', 'float16'].map((dtype) => Tensor.randn([1, CHANNELS, 4, 4], { dtype }));
      for (const [i, file] of files.entries()) {
        mkdirSync(path.dirname(file));
        await saveNpy(file, inputs[i]);
      }
      await startWorker();
      const env = { ...process.env, REDIS_URL: server.url };
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [path.join(example, 'submit.mjs'), ...files],
        { env },
      );
      const ids = stdout
        .trim()
        .split('\n')
        .map((line) => line.split(' ')[0]);
      assert.equal(new Set(ids).size, files.length, stdout);
      for (const [i, id] of ids.entries()) {
        const expected = model.forwardSync(inputs[i].to('float32'));
        assert.ok((await jobs.readResult(redis, id)).equals(expected), `${id} has other numbers`);
      }
    },
  );

  it('an input has no expiry while its job waits, and goes after a day if there is a result already', async () => {
    const input = Tensor.randn([1, CHANNELS, 4, 4]);
    const ttl = (id) => redis.ttl(`${jobs.PREFIX}:input:${id}`);
    await jobs.submit(queue, redis, 'waits', input);
    assert.equal(await ttl('waits'), -1);
    await jobs.submit(queue, redis, 'done', input);
    await startWorker();
    await until(async () => (await queue.getJobCounts('completed')).completed === 2);
    await jobs.submit(queue, redis, 'done', input);
    assert.ok((await ttl('done')) > 0);
  });

  it('an input that has not the size of its shape in float32 is refused', async () => {
    const job = await jobs.submit(queue, redis, 'long', Tensor.randn([1, CHANNELS, 4, 4]));
    await redis.append(`${jobs.PREFIX}:input:long`, Buffer.alloc(4));
    await assert.rejects(jobs.readInput(redis, job), /has 516 bytes; float32 of shape 1,8,4,4 has 512/);
  });

  it('two workers that come to the end of one job store one result', async () => {
    await jobs.submit(queue, redis, 'twice', Tensor.randn([1, CHANNELS, 4, 4]));
    const stored = await Promise.all(
      [1, 2].map((value) => jobs.storeResult(redis, 'twice', Tensor.full([1, CHANNELS, 4], value))),
    );
    assert.deepEqual(stored, [true, false]);
    assert.ok((await jobs.readResult(redis, 'twice')).equals(Tensor.full([1, CHANNELS, 4], 1)));
    assert.deepEqual(await finished(), ['twice']);
    // Submitted again after the first has stored its result.
    await jobs.submit(queue, redis, 'twice', Tensor.randn([1, CHANNELS, 4, 4]));
    assert.equal(await jobs.storeResult(redis, 'twice', Tensor.zeros([1, CHANNELS, 4])), false);
    assert.deepEqual(await redis.keys('*:input:*'), []);
  });
});
