import { resultOf } from './run';

test('the event loop goes on during a long forward', async () => {
  const { turns, milliseconds } = (await resultOf('event-loop', [8])) as {
    turns: number;
    milliseconds: number;
  };
  // A forward that blocked would leave a turn or two.
  expect(turns).toBeGreaterThan(milliseconds / 50);
});

test('brief forwards in a row let timers fire, wait for no long one, and read their input at the call', async () => {
  expect(await resultOf('brief')).toEqual({ fired: true, several: true, besideLarge: true, ofTheCall: true });
});
