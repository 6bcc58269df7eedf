import { binding } from '../../../lib/binding';
import type { NativeBinding } from '../../../lib/native-interface';
import { Storage } from '../../../lib/tensor/storage';
import { expectThrow } from '../formats/support';

jest.mock('../../../lib/binding');

const handle = {} as never;
const native = { share: jest.fn(), disposeStorage: jest.fn() };

beforeEach(() => {
  jest.resetAllMocks();
  jest.mocked(binding).mockReturnValue(native as unknown as NativeBinding);
});

describe('lent memory', () => {
  beforeEach(() => {
    native.share.mockReturnValue([Uint8Array.of(1, 2, 3, 4).buffer, true]);
  });

  test('is shared once, and stays native', () => {
    const storage = Storage.native(handle, 4).acquire();
    expect(storage.host().buffer).toBe(storage.host().buffer);
    expect(native.share).toHaveBeenCalledTimes(1);
    expect(storage.argument()).toBe(handle);
    expect(storage.ownsBuffer).toBe(true);
  });

  test('is detached for all views once its buffer was transferred', () => {
    const storage = Storage.native(handle, 4).acquire();
    structuredClone(storage.host().buffer, { transfer: [storage.host().buffer] });
    expectThrow(() => storage.host(), 'ERR_DETACHED', 'transferred');
    expectThrow(() => storage.argument(), 'ERR_DETACHED', 'transferred');
    expect(native.share).toHaveBeenCalledTimes(1);
  });
});

test('memory that is not lent belongs to JavaScript after share', () => {
  native.share.mockReturnValue([Uint8Array.of(1, 2, 3, 4).buffer, false]);
  const storage = Storage.native(handle, 4).acquire();
  expect(storage.argument()).toBe(handle);
  const { buffer } = storage.host();
  expect(storage.host().buffer).toBe(buffer);
  expect(storage.argument()).toEqual(Uint8Array.of(1, 2, 3, 4));
  storage.release();
  expect(native.disposeStorage).not.toHaveBeenCalled();
});

test('the last view releases the count, and later uses throw', () => {
  const storage = Storage.native(handle, 4);
  storage.acquire();
  storage.acquire();
  storage.release();
  expect(native.disposeStorage).not.toHaveBeenCalled();
  storage.release();
  expect(native.disposeStorage).toHaveBeenCalledTimes(1);
  expectThrow(() => storage.argument(), 'ERR_DETACHED', '');
});

test('a storage never owns a caller’s buffer', () => {
  expect(Storage.borrow(Float32Array.of(1)).ownsBuffer).toBe(false);
});
