import { Batcher, manualSeed, Tensor, TokenLearner } from '../../../lib';
import { at, elementsOf } from '../support';

const REQUESTS = 4000;
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

test('thousands of mixed requests, aborts, bad inputs and new weights: each is settled once, with the right bits', async () => {
  manualSeed(7);
  const below = random(1);
  const [model, a, b] = [0, 1, 2].map(() => new TokenLearner({ dim: 12, numOutputTokens: 3 })) as [
    TokenLearner,
    TokenLearner,
    TokenLearner,
  ];
  const dicts = [a.stateDict(), b.stateDict()];
  const inputs = Array.from({ length: 24 }, (_, i) =>
    Tensor.randn([1 + (i % 3), 12, 1 + (i % 6), 3 + (i % 4)]),
  );
  const expected = [a, b].map((each) => inputs.map((x) => elementsOf(each.forwardSync(x))));
  model.loadStateDict(dicts[0] as never);

  const batcher = new Batcher(model, { maxBatchSize: 16, maxQueueSize: IN_FLIGHT, priorityLevels: 3 });
  const counts: Partial<Record<Outcome, number>> = {};
  let weights = 0;
  let left = REQUESTS;

  const one = async (): Promise<Outcome> => {
    if (below(50) === 0) {
      weights = 1 - weights;
      model.loadStateDict(dicts[weights] as never);
    }
    const index = below(inputs.length);
    const right = expected[weights]?.[index];
    const isBad = below(20) === 0;
    const controller = below(5) === 0 ? new AbortController() : undefined;
    const running = batcher.forward(isBad ? Tensor.ones([11, 3, 3]) : at(inputs, index), {
      priority: below(3),
      ...(below(10) === 0 ? { timeoutMs: below(4) } : {}),
      ...(controller && { signal: controller.signal }),
    });
    if (controller !== undefined)
      setTimeout(() => {
        controller.abort();
      }, below(3));
    const result = elementsOf(await running);
    return result.length === right?.length && result.every((value, i) => value === right[i])
      ? 'right'
      : 'wrong';
  };
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      const outcome = await one().catch(outcomeOf);
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, client));
  await batcher.close();

  expect(counts.wrong).toBeUndefined();
  expect(counts.other).toBeUndefined();
  expect(Object.values(counts).reduce((sum, n) => sum + n, 0)).toBe(REQUESTS);
  const stats = batcher.stats();
  expect(stats).toMatchObject({ queued: 0, queuedBytes: 0, running: 0, failed: 0 });
  expect(stats.succeeded + stats.cancelled + stats.timedOut + stats.rejected).toBe(stats.requests);
  expect(counts.right).toBeGreaterThan(REQUESTS / 2);
}, 120_000);
