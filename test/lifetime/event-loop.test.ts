import { resultOf } from './run';

test('the event loop goes on during a long forward', async () => {
  const { turns, milliseconds } = (await resultOf('event-loop', [8])) as {
    turns: number;
    milliseconds: number;
  };
  // A forward that blocked would leave a turn or two.
  expect(turns).toBeGreaterThan(milliseconds / 50);
});
