import { Batcher, Tensor, TokenLearner } from '../../../lib';

const CALLERS = 64;

test('callers that send the next request at once leave the event loop its turns', async () => {
  const model = new TokenLearner({ dim: 16, numOutputTokens: 2, device: 'cpu' });
  const batcher = new Batcher(model, { maxBatchSize: 1 });
  const x = Tensor.randn([1, 16, 6, 6]);
  let answered = 0;
  let before = 0;
  let most = 0;
  let running = true;
  const turn = (): void => {
    most = Math.max(most, answered - before);
    before = answered;
    if (running) setImmediate(turn);
  };
  setImmediate(turn);
  const caller = async (): Promise<void> => {
    for (let i = 0; i < 300; i++) {
      (await batcher.forward(x)).dispose();
      answered++;
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  running = false;
  await batcher.close();
  // In a turn, two calls settle at most what waits: one request of each caller.
  expect(most).toBeLessThanOrEqual(2 * CALLERS);
});
