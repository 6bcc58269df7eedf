/** `npm run test:soak` sets TOKENLEARNER_SOAK, for the long form. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Batcher, type BatcherStats, manualSeed, Tensor, TokenLearner } from '../../../lib';
import { at, elementsOf } from '../support';

const REQUESTS = process.env.TOKENLEARNER_SOAK === undefined ? 4000 : 200_000;
const IN_FLIGHT = 200;

/** A generator of numbers from 0 to `below` - 1, the same in every run. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

type Outcome = 'right' | 'wrong' | 'aborted' | 'refused' | 'bad' | 'late' | 'other';

function outcomeOf(error: unknown): Outcome {
  const { code, name } = error as { code?: unknown; name?: unknown };
  if (name === 'AbortError') return 'aborted';
  if (code === 'ERR_QUEUE_FULL') return 'refused';
  if (code === 'ERR_SHAPE_MISMATCH') return 'bad';
  return code === 'ERR_TIMEOUT' ? 'late' : 'other';
}

/** The most that memory may grow from the first quarter of the run to its end, in bytes. One lost result of each request would be more in a long run. */
const MOST_GROWTH = 48 * 2 ** 20;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** The memory of the process after a garbage collection, in bytes. */
async function residentSize(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage.rss();
}

test('thousands of mixed requests, aborts, bad inputs, new weights and new models: each is settled once, with the right bits', async () => {
  manualSeed(7);
  const below = random(1);
  const options = { dim: 12, numOutputTokens: 3 };
  const [a, b] = [new TokenLearner(options), new TokenLearner(options)];
  const dicts = [a.stateDict(), b.stateDict()];
  const inputs = Array.from({ length: 24 }, (_, i) =>
    Tensor.randn([1 + (i % 3), 12, 1 + (i % 6), 3 + (i % 4)]),
  );
  const expected = [a, b].map((each) => inputs.map((x) => elementsOf(each.forwardSync(x))));
  const load = (): { model: TokenLearner; batcher: Batcher } => {
    const model = TokenLearner.fromStateDict(at(dicts, weights));
    const limits = { maxBatchSize: 16, maxQueueSize: IN_FLIGHT, priorityLevels: 3 };
    return { model, batcher: new Batcher(model, limits) };
  };
  const counts: Partial<Record<Outcome, number>> = {};
  let weights = 0;
  let left = REQUESTS;
  let live = load();
  let early = 0;
  const retired: Promise<BatcherStats>[] = [];
  const retire = async ({ model, batcher }: typeof live): Promise<BatcherStats> => {
    await batcher.close();
    model.dispose();
    return batcher.stats();
  };

  const one = async (): Promise<Outcome> => {
    if (below(50) === 0) {
      weights = 1 - weights;
      live.model.loadStateDict(at(dicts, weights));
    }
    if (below(500) === 0) {
      // As a server loads a model again: new requests go to the new one, and the old one finishes.
      weights = below(2);
      retired.push(retire(live));
      live = load();
    }
    const index = below(inputs.length);
    const right = expected[weights]?.[index];
    const isBad = below(20) === 0;
    const controller = below(5) === 0 ? new AbortController() : undefined;
    const running = live.batcher.forward(isBad ? Tensor.ones([11, 3, 3]) : at(inputs, index), {
      priority: below(3),
      ...(below(10) === 0 ? { timeoutMs: below(4) } : {}),
      ...(controller && { signal: controller.signal }),
    });
    if (controller !== undefined)
      setTimeout(() => {
        controller.abort();
      }, below(3));
    const tensor = await running;
    const result = elementsOf(tensor);
    tensor.dispose();
    return result.length === right?.length && result.every((value, i) => value === right[i])
      ? 'right'
      : 'wrong';
  };
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      if (left === Math.floor((3 * REQUESTS) / 4)) early = await residentSize();
      const outcome = await one().catch(outcomeOf);
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, client));
  const all = await Promise.all([...retired, retire(live)]);

  expect(counts.wrong).toBeUndefined();
  expect(counts.other).toBeUndefined();
  expect(Object.values(counts).reduce((sum, n) => sum + n, 0)).toBe(REQUESTS);
  for (const stats of all) {
    expect(stats).toMatchObject({ queued: 0, queuedBytes: 0, running: 0, failed: 0 });
    expect(stats.succeeded + stats.cancelled + stats.timedOut + stats.rejected).toBe(stats.requests);
  }
  expect(all.length).toBeGreaterThan(1);
  expect((await residentSize()) - early).toBeLessThan(MOST_GROWTH);
  expect(counts.right).toBeGreaterThan(REQUESTS / 2);
}, 900_000);
