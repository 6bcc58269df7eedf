/**
 * Takes jobs from the queue and stores their tokens: `node worker.mjs weights.safetensors`. Start as many as you like, on any number of machines.
 *
 * REDIS_URL      where Redis is (redis://127.0.0.1:6379)
 * CONCURRENCY    jobs at once in this process (64); the Batcher joins them
 * LOCK_MS        after this time without a sign of life, another worker takes the jobs of a lost one (30000)
 */
import { Worker } from 'bullmq';
import { Batcher, loadWeights, TokenLearner } from 'tokenlearner';
import {
  connect,
  dropInput,
  expireInput,
  hasResult,
  PREFIX,
  QUEUE,
  readInput,
  storeResult,
} from './jobs.mjs';

const [weights] = process.argv.slice(2);
if (weights === undefined) throw new Error('Usage: node worker.mjs WEIGHTS');
const { REDIS_URL, CONCURRENCY = '64', LOCK_MS = '30000' } = process.env;
const concurrency = Number(CONCURRENCY);
const lockDuration = Number(LOCK_MS);

const model = TokenLearner.fromStateDict(await loadWeights(weights)).to('float32');
const batcher = new Batcher(model, { maxBatchSize: concurrency });
const redis = connect(REDIS_URL);

/** One run of a job. What it throws makes the queue try again, until the job's attempts are over. */
async function extract(job) {
  if (await hasResult(redis, job.id)) {
    await dropInput(redis, job.id);
    return { stored: false };
  }
  const tokens = await batcher.forward(await readInput(redis, job));
  return { stored: await storeResult(redis, job.id, tokens) };
}

const worker = new Worker(QUEUE, extract, {
  connection: connect(REDIS_URL),
  prefix: PREFIX,
  concurrency,
  lockDuration,
  stalledInterval: lockDuration,
  // A job whose worker is lost this often is the likely reason, and fails.
  maxStalledCount: 3,
});
worker.on('failed', (job, error) => {
  console.error(`${job?.id} failed: ${error.message}`);
  const isFinal = job?.finishedOn !== undefined;
  if (isFinal) expireInput(redis, job.id).catch((reason) => console.error(reason.message));
});
// Without this, an error of the connection would end the process.
worker.on('error', (error) => console.error(error.message));
await worker.waitUntilReady();
console.log('ready');

/** Takes no more jobs, finishes those under way, and ends. */
async function stop() {
  await worker.close();
  await batcher.close();
  await redis.quit();
  process.exit(0);
}
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
