import { ElementParts } from '../../../lib/formats/array-entry';
import { elementChunks, packed } from '../../../lib/formats/element-chunks';
import { TokenLearnerError } from '../../../lib/errors';
import { expectThrow } from './support';

class Parts extends ElementParts {
  override readonly byteLength = 8;

  constructor(readonly second: () => Float32Array<ArrayBuffer>) {
    super();
  }

  override *parts(): Generator<Float32Array<ArrayBuffer>> {
    yield Float32Array.of(1);
    yield this.second();
  }
}

const bytesOf = (chunks: Iterable<Uint8Array>): number[] => [...Buffer.concat([...chunks])];

test('an array is copied in chunks of 4 MiB', () => {
  const data = new Uint8Array(9 * 2 ** 20).fill(1);
  const chunks: number[] = [];
  for (const chunk of elementChunks(data, data.length, 'a')) {
    expect(chunk.buffer).not.toBe(data.buffer);
    chunks.push(chunk.byteLength / 2 ** 20);
  }
  expect(chunks).toEqual([4, 4, 1]);
});

test('parts are taken one by one', () => {
  const parts = new Parts(() => Float32Array.of(2));
  expect(bytesOf(elementChunks(parts, 8, 'a'))).toEqual([...new Uint8Array(Float32Array.of(1, 2).buffer)]);
});

test('memory that was transferred names the tensor; other errors pass', () => {
  const failing = (code: 'ERR_DETACHED' | 'ERR_OUT_OF_MEMORY'): Parts =>
    new Parts(() => {
      throw new TokenLearnerError(code, 'mine');
    });
  const all = (parts: Parts) => () => bytesOf(elementChunks(parts, 8, 'a'));
  expectThrow(all(failing('ERR_DETACHED')), 'ERR_DETACHED', 'tensor "a" was detached');
  expectThrow(all(failing('ERR_OUT_OF_MEMORY')), 'ERR_OUT_OF_MEMORY', 'mine');
});

describe('packed', () => {
  const sized = (sizes: number[]): Uint8Array[] => sizes.map((size, i) => new Uint8Array(size).fill(i % 256));

  test.each([
    ['nothing', [], 0],
    ['small ones', [1, 0, 5, 7], 1],
    ['small ones around a large one', [1, 2, 100_000, 3], 3],
    ['more than a pack', new Array<number>(2_500).fill(1), 3],
    ['more bytes than a pack', new Array<number>(20).fill(30_000), 3],
  ])('%s: the same bytes in fewer chunks', (_, sizes, count) => {
    const chunks = [...packed(sized(sizes))];
    expect(Buffer.concat(chunks).equals(Buffer.concat(sized(sizes)))).toBe(true);
    expect(chunks).toHaveLength(count);
  });
});
