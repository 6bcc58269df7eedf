/** Adds a job for each .npy file, and waits for their tokens: `node submit.mjs features/*.npy`. Prints each file's id and the shape of its tokens. */
import { readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { loadNpy } from 'tokenlearner';
import { connect, idOf, openQueue, readResult, submit } from './jobs.mjs';

const redis = connect(process.env.REDIS_URL);
const queue = openQueue(redis);

const jobs = [];
for (const file of process.argv.slice(2))
  jobs.push(await submit(queue, redis, idOf(file, await readFile(file)), await loadNpy(file)));
for (const { id } of jobs) {
  let tokens = await readResult(redis, id);
  while (tokens === null) {
    const job = await queue.getJob(id);
    if ((await job?.getState()) === 'failed') break;
    await setTimeout(100);
    tokens = await readResult(redis, id);
  }
  if (tokens === null) process.exitCode = 1;
  console.log(id, tokens?.shape ?? 'failed');
}
await queue.close();
await redis.quit();
