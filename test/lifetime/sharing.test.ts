import { resultOf, runScript } from './run';

test('workers that are terminated during a forward of a shared model free it', async () => {
  expect(await resultOf('sharing', ['terminate'])).toEqual({ same: true, liveShares: 0 });
});

test('a token ends with the thread that shared; what was opened goes on', async () => {
  expect(await resultOf('sharing', ['owner'])).toEqual({ late: 'ERR_SHARED_NOT_FOUND', same: true });
});

test('a moved tensor outlives its thread and is opened once; a shared one does not', async () => {
  const [code] = ['ERR_SHARED_NOT_FOUND'];
  expect(await resultOf('sharing', ['move'])).toEqual([true, true, code, code, false, true, code, code]);
});

test('threads that use one tensor see none of the writes of the others', async () => {
  expect(await resultOf('sharing', ['tensors'])).toEqual({ same: true, running: true, late: 1 });
});

test('a BroadcastChannel carries a token to all its threads', async () => {
  expect(await resultOf('sharing', ['broadcast'])).toEqual([
    'Linear(in_features=2, out_features=3, bias=True)',
  ]);
});

test('process.exit() while workers hold shared models ends the process', async () => {
  const { code, signal, stderr } = await runScript('shared-exit');
  expect({ code, signal, stderr }).toEqual({ code: 5, signal: null, stderr: '' });
});
