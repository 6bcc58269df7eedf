/** The load generator, a process of its own: runs the closed or open loop that its parent asks for, and reports the figures. */
import { setImmediate } from 'node:timers';
import { createClient } from './clients.mjs';
import { arrivals, summarise } from './statistics.mjs';

/** Most requests under way in an open loop; what is due beyond them is counted as unsent. */
const MOST = 1024;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function samples() {
  return { latencies: [], rejected: 0, failed: 0, unsent: 0 };
}

async function one(client, found, due) {
  const outcome = await client.send();
  if (outcome === 'answered') found.latencies.push(performance.now() - due);
  else found[outcome] += 1;
}

/** Callers that each send the next request when the last one is answered. */
async function closed(client, { callers, seconds }) {
  const found = samples();
  const started = performance.now();
  const end = started + 1000 * seconds;
  const caller = async () => {
    while (performance.now() < end) await one(client, found, performance.now());
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return { ...found, seconds: (performance.now() - started) / 1000 };
}

/** Requests at random times of a given rate, whatever the answers do. Latencies count from the time at which a request was due. */
async function open(client, { rate, seconds, seed }) {
  const found = samples();
  const started = performance.now();
  const running = new Set();
  for (const at of arrivals(rate, seconds, seed)) {
    const due = started + 1000 * at;
    const wait = due - performance.now();
    if (wait > 1) await sleep(wait);
    else if (running.size % 16 === 0) await new Promise(setImmediate);
    if (running.size >= MOST) {
      found.unsent += 1;
      continue;
    }
    const request = one(client, found, due).finally(() => running.delete(request));
    running.add(request);
  }
  const sent = (performance.now() - started) / 1000;
  await Promise.race([Promise.all(running), sleep(5000)]);
  found.failed += running.size;
  return { ...found, seconds: sent };
}

const LOOPS = { closed, open };

process.on('message', async ({ protocol, server, input, loop, options, deadlineMs }) => {
  const values = Float32Array.from({ length: input.length }, (_, i) => Math.sin(i));
  const client = createClient(protocol, { ...server, connections: MOST }, { values, shape: input.shape });
  const found = await LOOPS[loop](client, options);
  process.send(summarise(found, deadlineMs));
  // Requests without an answer must not hold the next run up.
  await Promise.race([client.close(), sleep(1000)]);
});
