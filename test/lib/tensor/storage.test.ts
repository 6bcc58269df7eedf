import { binding } from '../../../lib/binding';
import type { NativeBinding } from '../../../lib/native-interface';
import { Storage } from '../../../lib/tensor/storage';

jest.mock('../../../lib/binding');

/** A binding whose runtime forbids ArrayBuffers over native memory. */
const copying = {
  sharesBuffers: false,
  buffer: jest.fn(() => Uint8Array.of(1, 2, 3, 4).buffer),
  disposeStorage: jest.fn(),
};

beforeEach(() => {
  jest.clearAllMocks();
  jest.mocked(binding).mockReturnValue(copying as unknown as NativeBinding);
});

test('where buffers over native memory are forbidden, JavaScript’s copy becomes the memory', () => {
  const handle = {} as never;
  const storage = Storage.native(handle, 4).acquire();
  expect(storage.argument()).toBe(handle);
  const { buffer } = storage.host();
  expect(copying.disposeStorage).toHaveBeenCalledWith(handle);
  expect(storage.host().buffer).toBe(buffer);
  expect(copying.buffer).toHaveBeenCalledTimes(1);
  expect(storage.argument()).toEqual(Uint8Array.of(1, 2, 3, 4));
});

test('native memory is given back with the last view', () => {
  const storage = Storage.native({} as never, 4);
  storage.acquire();
  storage.acquire();
  storage.release();
  expect(copying.disposeStorage).not.toHaveBeenCalled();
  storage.release();
  expect(copying.disposeStorage).toHaveBeenCalledTimes(1);
});
