/**
 * Shared by producers and workers: the queue, and the keys of inputs and results in Redis.
 *
 *     tokens:input:ID    the input's elements, float32, little-endian, until the result is stored or the job has failed for good
 *     tokens:result:ID   a hash: shape (JSON), and data as above
 *     tokens:finished    a stream with one entry for each stored result, of the last million or so
 *
 * A queue runs a job at least once: again, if its worker was lost. A result is stored by the first run that comes to its end, and by no other.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { Tensor } from 'tokenlearner';

export const QUEUE = 'tokens';
/** The braces keep all keys on one node of a Redis Cluster. */
export const PREFIX = '{tokens}';
export const FINISHED = `${PREFIX}:finished`;
const inputKey = (id) => `${PREFIX}:input:${id}`;
const resultKey = (id) => `${PREFIX}:result:${id}`;

/** Results that nobody fetches, failed jobs and their inputs go after a day. */
const LIFETIME_SECONDS = 24 * 60 * 60;

/** KEYS: result, input, finished. ARGV: ID, shape, data, lifetime. Returns 1 if this call stored the result. */
const STORE_ONCE = `
redis.call('DEL', KEYS[2])
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'shape', ARGV[2], 'data', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', 1000000, '*', 'id', ARGV[1])
return 1`;

/** A connection to Redis. Workers wait for Redis as long as it takes, as BullMQ demands of theirs. */
export function connect(url = 'redis://127.0.0.1:6379') {
  const redis = new Redis(url, { maxRetriesPerRequest: null });
  redis.defineCommand('storeOnce', { numberOfKeys: 3, lua: STORE_ONCE });
  return redis;
}

/** The queue as producers see it. */
export const openQueue = (redis) => new Queue(QUEUE, { connection: redis, prefix: PREFIX });

/** The elements as float32. */
const bytesOf = (tensor) => {
  const { data } = tensor.to('float32').cpu().contiguous();
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
};

/** An id for the tokens of a file: other paths and other contents have other ids. BullMQ allows no colon in an id. */
export function idOf(file, bytes) {
  const hash = createHash('sha256')
    .update(`${path.resolve(file)}\0`)
    .update(bytes)
    .digest('hex');
  return `${path.parse(file).name.replaceAll(':', '_')}-${hash.slice(0, 32)}`;
}

/**
 * Adds a job. `id` names the work: a second job with the same id changes nothing while the first is in the queue, and finds its result afterwards.
 * It is tried five times, after pauses of 0.2, 0.4, 0.8 and 1.6 seconds. The input has no expiry while its job waits.
 */
export async function submit(queue, redis, id, input) {
  await redis.set(inputKey(id), bytesOf(input), 'EX', LIFETIME_SECONDS, 'NX');
  const job = await queue.add(
    'extract',
    { shape: input.shape },
    {
      jobId: id,
      attempts: 5,
      backoff: { type: 'exponential', delay: 200 },
      removeOnComplete: { age: 3600, count: 10_000 },
      removeOnFail: { age: LIFETIME_SECONDS },
    },
  );
  // A job of this id that has come to its end before is not run again, so the input still goes after a day.
  if (!['completed', 'failed'].includes(await job.getState())) await redis.persist(inputKey(id));
  return job;
}

/** The input of a job. Throws if it is gone, or has not the shape that the job says. */
export async function readInput(redis, { id, data }) {
  const bytes = await redis.getBuffer(inputKey(id));
  if (bytes === null) throw new Error(`The input of job ${id} is gone`);
  const expected = data.shape.reduce((product, size) => product * size, Float32Array.BYTES_PER_ELEMENT);
  if (bytes.length !== expected)
    throw new Error(
      `The input of job ${id} has ${bytes.length} bytes; float32 of shape ${data.shape} has ${expected}`,
    );
  return Tensor.fromBuffer(bytes, 'float32', data.shape);
}

/** Keeps the input of a job that failed for good for a day more. */
export const expireInput = (redis, id) => redis.expire(inputKey(id), LIFETIME_SECONDS);

/** Drops the input of a job that has a result already. */
export const dropInput = (redis, id) => redis.del(inputKey(id));

export const hasResult = async (redis, id) => (await redis.exists(resultKey(id))) === 1;

/** Drops the input, and stores a result unless there is one. True if it was stored. */
export async function storeResult(redis, id, tokens) {
  const values = [id, JSON.stringify(tokens.shape), bytesOf(tokens), LIFETIME_SECONDS];
  return (await redis.storeOnce(resultKey(id), inputKey(id), FINISHED, ...values)) === 1;
}

/** The tokens of a job, or null before they are stored. */
export async function readResult(redis, id) {
  const { shape, data } = await redis.hgetallBuffer(resultKey(id));
  return data === undefined ? null : Tensor.fromBuffer(data, 'float32', JSON.parse(shape.toString()));
}
