import { resultOf, runScript } from './run';

test.each([0, 1, 5, 20, 60, 150])('process.exit() %d ms after forwards start ends cleanly', async (delay) => {
  expect(await runScript('exit', ['exit', delay])).toEqual({ code: 7, signal: null, stdout: '', stderr: '' });
});

test('an exception during a forward ends the process with its own message', async () => {
  const { code, signal, stderr } = await runScript('exit', ['throw', 20]);
  expect({ code, signal }).toEqual({ code: 1, signal: null });
  expect(stderr).toContain('Error: on purpose');
});

test('process.exit() after a synchronous forward, with asynchronous ones in progress, ends cleanly', async () => {
  expect(await runScript('exit', ['sync', 5])).toEqual({ code: 7, signal: null, stdout: '', stderr: '' });
});

test('a process waits for its forwards, then ends by itself', async () => {
  expect(await resultOf('exit', ['wait', 0])).toBe(3);
});

test('after an exit event without an exit, dropped forwards reject with ERR_CLOSED and later ones run', async () => {
  expect(await resultOf('fake-exit')).toMatchObject({ dropped: true, after: [2, 128, 8] });
});
