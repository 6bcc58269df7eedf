import { resultOf } from './run';

test('a long forward does not block the event loop', async () => {
  const { turns, milliseconds } = (await resultOf('event-loop', [8])) as {
    turns: number;
    milliseconds: number;
  };
  // A blocking forward would leave only one or two turns.
  expect(turns).toBeGreaterThan(milliseconds / 50);
});

test('brief forwards in a row let timers fire, do not wait for a long one, and read their input during the call', async () => {
  expect(await resultOf('brief')).toEqual({ fired: true, several: true, besideLarge: true, ofTheCall: true });
});
