import { runtime } from '../../lib';
import { deviceCode, deviceFromCode, isDeviceOption, resolveDevice } from '../../lib/device';
import { expectThrow } from './formats/support';

const { cuda, devices } = runtime.info();

test.each(['auto', 'cpu', 'cuda', 'cuda:0', 'cuda:12'])('%s is a device', (value) => {
  expect(isDeviceOption(value)).toBe(true);
});

test.each(['', 'gpu', 'CPU', 'cuda:', 'cuda:-1', 'cuda:01', 'cuda:1.5', 'cuda:99999', ' cpu', 'cpu:0'])(
  "'%s' is not a device",
  (value) => {
    expect(isDeviceOption(value)).toBe(false);
    expectThrow(
      () => resolveDevice('device', value),
      'ERR_INVALID_ARG_VALUE',
      "'auto', 'cpu', 'cuda' or 'cuda:N'",
    );
  },
);

test.each([null, undefined, 0, {}])('%p is not a device', (value) => {
  expectThrow(() => resolveDevice('device', value), 'ERR_INVALID_ARG_TYPE', '`device`');
});

test('codes convert to devices and back', () => {
  expect(deviceFromCode(-1)).toBe('cpu');
  expect(deviceFromCode(2)).toBe('cuda:2');
  expect([deviceCode('cpu'), deviceCode('cuda:0'), deviceCode('cuda:12')]).toEqual([-1, 0, 12]);
});

test('auto is the first usable GPU, or the CPU if there is none', () => {
  expect(resolveDevice('device', 'auto')).toBe(cuda.available ? 'cuda:0' : 'cpu');
  expect(resolveDevice('device', 'cpu')).toBe('cpu');
});

test('an unavailable GPU is refused with the reason', () => {
  // The index after the last GPU; without GPUs, any index.
  const beyond = `cuda:${devices.length}`;
  const reason = cuda.available ? 'no-such-device' : (cuda.reason ?? 'unknown');
  expectThrow(() => resolveDevice('device', beyond), 'ERR_CUDA_UNAVAILABLE', reason);
  expectThrow(
    () => resolveDevice('device', beyond),
    'ERR_CUDA_UNAVAILABLE',
    "device 'auto' falls back to the CPU",
  );
});
