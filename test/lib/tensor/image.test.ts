import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { type AnyTensor, type FromImageOptions, type RawImage, presets, Tensor } from '../../../lib';
import { expectError, expectThrow } from '../formats/support';
import { elementsOf } from '../support';

interface Case {
  name: string;
  picture: { width: number; height: number; channels: number; data: string };
  options: FromImageOptions;
  shape: number[];
  data: string;
}

function read(name: string): unknown {
  return JSON.parse(
    readFileSync(path.join(__dirname, '..', '..', 'fixtures', 'images', `${name}.json`), 'utf8'),
  );
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(base64, 'base64'));
}

/** The bytes of a tensor in base64. */
function raw(tensor: AnyTensor): string {
  const { buffer, byteOffset } = tensor.data;
  return Buffer.from(buffer as ArrayBuffer, byteOffset, tensor.byteLength).toString('base64');
}

/** A picture whose bytes are 0, 1, 2, ... */
function ramp(width: number, height: number, channels: number): Required<RawImage> {
  const data = Uint8Array.from({ length: width * height * channels }, (_, i) => i);
  return { data, width, height, channels };
}

describe('the numbers of torchvision', () => {
  const cases = read('cases') as Case[];

  test.each(cases.map((entry) => [entry.name, entry] as const))('%s', async (_, entry) => {
    const picture = { ...entry.picture, data: bytesOf(entry.picture.data) };
    for (const tensor of [
      await Tensor.fromImage(picture, entry.options),
      Tensor.fromImageSync(picture, entry.options),
    ]) {
      expect(tensor.shape).toEqual(entry.shape);
      expect(tensor.dtype).toBe(entry.options.dtype ?? 'float32');
      expect(raw(tensor)).toBe(entry.data);
    }
  });

  test('a batch has the bits of its pictures alone', async () => {
    const entries = cases.filter(({ name }) => name.endsWith('as for ImageNet'));
    expect(entries).toHaveLength(2);
    const pictures = entries.map(({ picture }) => ({ ...picture, data: bytesOf(picture.data) }));
    const batch = await Tensor.fromImage(pictures, entries[0]?.options);
    expect(batch.shape).toEqual([2, 3, 14, 14]);
    expect(raw(batch)).toBe(
      Buffer.concat(entries.map(({ data }) => Buffer.from(data, 'base64'))).toString('base64'),
    );
  });

  test('a large batch runs on the executor, and sees the pictures of the call', async () => {
    const pictures = Array.from({ length: 9 }, () => ramp(64, 64, 4));
    const expected = raw(Tensor.fromImageSync(pictures, presets.imagenet));
    const running = Tensor.fromImage(pictures, presets.imagenet);
    for (const { data } of pictures) data.fill(0);
    // Not toBe(expected): jest takes minutes to show how such long texts differ.
    expect(raw(await running) === expected).toBe(true);
  });
});

describe('pictures as decoders give them', () => {
  const grey = [0, 1, 2, 3, 4, 5].map((byte) => Math.fround(byte / 255));

  test.each([
    ['jpeg-js and pngjs', { ...ramp(1, 1, 4), channels: undefined }, [1, 3, 1, 1]],
    [
      'sharp',
      { data: Buffer.from(ramp(3, 2, 1).data), info: { width: 3, height: 2, channels: 1 } },
      [1, 1, 2, 3],
    ],
    ['a clamped array', { ...ramp(2, 1, 3), data: Uint8ClampedArray.of(0, 1, 2, 3, 4, 5) }, [1, 3, 1, 2]],
    ['channels from the length', { data: ramp(2, 1, 3).data, width: 2, height: 1 }, [1, 3, 1, 2]],
  ] as const)('%s', (_, picture, shape) => {
    const tensor = Tensor.fromImageSync(picture);
    expect(tensor.shape).toEqual(shape);
    const sorted = [...(tensor.data as Iterable<number>)].sort((a, b) => a - b);
    expect(sorted).toEqual(grey.slice(0, sorted.length));
  });

  test('ImageData, whose properties are getters of its prototype', () => {
    const prototype = {
      get data(): Uint8ClampedArray {
        return Uint8ClampedArray.of(9, 8, 7, 6);
      },
      get width(): number {
        return 1;
      },
      get height(): number {
        return 1;
      },
    };
    expect(elementsOf(Tensor.fromImageSync(Object.create(prototype) as RawImage))).toEqual(
      [9, 8, 7].map((byte) => Math.fround(byte / 255)),
    );
  });

  test('bytes in the middle of a buffer', () => {
    const data = new Uint8Array(Uint8Array.of(99, 1, 2, 3, 99).buffer, 1, 3);
    expect(elementsOf(Tensor.fromImageSync({ data, width: 1, height: 1 }))).toEqual(
      [1, 2, 3].map((byte) => Math.fround(byte / 255)),
    );
  });

  test('without libtorch, also in a worker', async () => {
    const code = `
      const { Tensor } = require(${JSON.stringify(path.join(__dirname, '..', '..', '..', 'dist', 'index.js'))});
      const { parentPort } = require('node:worker_threads');
      process.env.TOKENLEARNER_LIBTORCH = '/nowhere';
      Tensor.fromImage({ data: new Uint8Array(200 * 200 * 3).fill(255), width: 200, height: 200 }).then((tensor) =>
        parentPort.postMessage([tensor.shape, tensor.data.every((x) => x === 1)]));`;
    const worker = new Worker(code, { eval: true });
    const answer = await new Promise((resolve, reject) => {
      worker.once('message', resolve).once('error', reject);
    });
    await worker.terminate();
    expect(answer).toEqual([[1, 3, 200, 200], true]);
  });
});

describe('what is refused', () => {
  const picture = ramp(4, 3, 3);
  const refusals: [string, unknown, unknown, string, RegExp][] = [
    ['a file', Buffer.from('JPEG'), {}, 'ERR_INVALID_ARG_TYPE', /a decoded picture/],
    ['null', null, {}, 'ERR_INVALID_ARG_TYPE', /`image` but received null/],
    ['no pictures', [], {}, 'ERR_INVALID_ARG_VALUE', /at least one picture/],
    ['a hole', [picture, undefined], {}, 'ERR_INVALID_ARG_TYPE', /`image\[1\]`/],
    ['no data', { width: 4, height: 3 }, {}, 'ERR_INVALID_ARG_TYPE', /`image.data`/],
    [
      '16-bit data',
      { ...picture, data: new Uint16Array(36) },
      {},
      'ERR_INVALID_ARG_TYPE',
      /Uint8ClampedArray/,
    ],
    ['no width', { data: picture.data, height: 3 }, {}, 'ERR_INVALID_ARG_TYPE', /`image.width`/],
    ['no pixels', { ...picture, width: 0 }, {}, 'ERR_OUT_OF_RANGE', /`image.width`/],
    ['half a pixel', { ...picture, height: 2.5 }, {}, 'ERR_OUT_OF_RANGE', /`image.height`/],
    ['five channels', { ...picture, channels: 5 }, {}, 'ERR_OUT_OF_RANGE', /`image.channels`/],
    [
      'too short',
      { ...picture, height: 4 },
      {},
      'ERR_SHAPE_MISMATCH',
      /3 bytes .* 4 x 4 pixels but received 36/,
    ],
    [
      'no whole pixels',
      { data: picture.data, width: 5, height: 3 },
      {},
      'ERR_SHAPE_MISMATCH',
      /1 to 4 bytes/,
    ],
    [
      'unequal sizes',
      [picture, ramp(3, 4, 3)],
      {},
      'ERR_SHAPE_MISMATCH',
      /\(3, 3, 4\).*`image\[1\]`.*\(3, 4, 3\)/,
    ],
    ['grey and RGB', [picture, ramp(4, 3, 1)], {}, 'ERR_SHAPE_MISMATCH', /\(1, 3, 4\)/],
    ['unequal after the resize', [picture, ramp(3, 6, 3)], { resize: 2 }, 'ERR_SHAPE_MISMATCH', /equal/],
    ['mean alone', picture, { mean: 0.5 }, 'ERR_INVALID_ARG_VALUE', /no `std`/],
    ['std alone', picture, { std: 0.5 }, 'ERR_INVALID_ARG_VALUE', /no `mean`/],
    ['a std of 0', picture, { mean: 0, std: [1, 0, 1] }, 'ERR_OUT_OF_RANGE', /`options.std\[1\]`/],
    ['a std of 0 in float32', picture, { mean: 0, std: 1e-50 }, 'ERR_OUT_OF_RANGE', /other than 0/],
    ['a mean that is no float32', picture, { mean: 1e39, std: 1 }, 'ERR_OUT_OF_RANGE', /finite float32/],
    ['a text as mean', picture, { mean: '0.5', std: 1 }, 'ERR_INVALID_ARG_TYPE', /array of numbers/],
    ['two means', picture, { mean: [0, 0], std: 1 }, 'ERR_SHAPE_MISMATCH', /one number or 3/],
    ['three means for grey', ramp(2, 2, 1), presets.imagenet, 'ERR_SHAPE_MISMATCH', /one number or 1/],
    ['an integer dtype', picture, { dtype: 'uint8' }, 'ERR_INVALID_ARG_VALUE', /`options.dtype`/],
    ['an unknown layout', picture, { layout: 'NHWC' }, 'ERR_INVALID_ARG_VALUE', /`options.layout`/],
    ['an unknown option', picture, { antialias: true }, 'ERR_INVALID_ARG_VALUE', /'antialias'/],
    [
      'a filter without resize',
      picture,
      { interpolation: 'bicubic' },
      'ERR_INVALID_ARG_VALUE',
      /without `resize`/,
    ],
    [
      'an unknown filter',
      picture,
      { resize: 2, interpolation: 'lanczos' },
      'ERR_INVALID_ARG_VALUE',
      /bicubic/,
    ],
    ['a resize to 0', picture, { resize: 0 }, 'ERR_OUT_OF_RANGE', /`options.resize`/],
    ['half a size', picture, { resize: { width: 3 } }, 'ERR_INVALID_ARG_TYPE', /`options.resize.height`/],
    ['a pair', picture, { resize: [2, 2] }, 'ERR_INVALID_ARG_TYPE', /\{ width, height \}/],
    ['a large crop', picture, { crop: 4 }, 'ERR_OUT_OF_RANGE', /at most 4 x 3/],
    ['a crop larger than the resize', picture, { resize: 2, crop: 3 }, 'ERR_OUT_OF_RANGE', /at most 2 x 2/],
    ['an endless resize', ramp(1, 9, 1), { resize: 2 ** 30 }, 'ERR_OUT_OF_RANGE', /longer side/],
    ['a tensor of too many elements', picture, { resize: 2 ** 30 }, 'ERR_OUT_OF_RANGE', /too many elements/],
  ];

  test.each(refusals)('%s', async (_, image, options, code, message) => {
    expectThrow(() => Tensor.fromImageSync(image as never, options as never), code as never, message);
    const rejection = await Tensor.fromImage(image as never, options as never).catch(
      (error: unknown) => error,
    );
    expectError(rejection, code as never, message);
  });

  test('shared, resizable and detached memory', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(3));
    const resizable = new Uint8Array(
      new (ArrayBuffer as never as new (n: number, o: object) => ArrayBuffer)(3, { maxByteLength: 9 }),
    );
    const detached = Uint8Array.of(1, 2, 3);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    for (const [data, code] of [
      [shared, 'ERR_UNSUPPORTED_BUFFER'],
      [resizable, 'ERR_UNSUPPORTED_BUFFER'],
      [detached, 'ERR_DETACHED'],
    ] as const) {
      expectThrow(() => Tensor.fromImageSync({ data, width: 1, height: 1 }), code, /`image.data`/);
    }
  });

  test('memory that a later picture detaches while it is read', () => {
    const data = Uint8Array.of(1, 2, 3);
    const thief = {
      get data() {
        structuredClone(data.buffer, { transfer: [data.buffer] });
        return Uint8Array.of(1, 2, 3);
      },
      width: 1,
      height: 1,
    };
    expectThrow(
      () => Tensor.fromImageSync([{ data, width: 1, height: 1 }, thief]),
      'ERR_SHAPE_MISMATCH',
      /memory/,
    );
  });
});

describe('toImage', () => {
  test('has the bytes of torchvision.utils.save_image', () => {
    const { shape, data, pixels } = read('saved') as { shape: number[]; data: string; pixels: string };
    const tensor = Tensor.from(new Float32Array(bytesOf(data).buffer), shape);
    const image = tensor.toImage();
    expect(image).toMatchObject({ width: 8, height: 8, channels: 3 });
    expect(Buffer.from(image.data).toString('base64')).toBe(pixels);
  });

  test.each([
    ['as it is', {}, ['float32', 'float64', 'float16']],
    ['normalised', presets.imagenet, ['float32', 'float64', 'float16', 'bfloat16']],
    ['with numbers', { mean: 0.5, std: 0.25 }, ['float32', 'float64', 'float16']],
  ] as const)('brings every byte back: %s', (_, statistics, dtypes) => {
    const data = Uint8Array.from({ length: 3 * 256 }, (__, i) => Math.floor(i / 3));
    for (const dtype of dtypes) {
      for (const layout of ['channels-first', 'channels-last'] as const) {
        const tensor = Tensor.fromImageSync(
          { data, width: 16, height: 16 },
          { ...statistics, dtype, layout },
        );
        expect([...tensor.toImage({ ...statistics, layout }).data]).toEqual([...data]);
      }
    }
  });

  test('takes one picture of a batch, and views with any strides', () => {
    const pictures = [ramp(3, 2, 1), { ...ramp(3, 2, 1), data: Uint8Array.of(9, 8, 7, 6, 5, 4) }];
    const batch = Tensor.fromImageSync(pictures);
    expect([...batch.toImage({ index: 1 }).data]).toEqual([9, 8, 7, 6, 5, 4]);
    expect(batch.transpose(2, 3).toImage({ index: 1 })).toEqual({
      data: Uint8ClampedArray.of(9, 6, 8, 5, 7, 4),
      width: 2,
      height: 3,
      channels: 1,
    });
  });

  test.each([
    ['a batch without index', Tensor.zeros([2, 3, 4, 4]), {}, 'ERR_INVALID_ARG_VALUE', /`options.index`/],
    [
      'an index beyond the batch',
      Tensor.zeros([2, 3, 4, 4]),
      { index: 2 },
      'ERR_OUT_OF_RANGE',
      /from 0 to 1/,
    ],
    ['integers', Tensor.zeros([3, 4, 4], { dtype: 'uint8' }), {}, 'ERR_DTYPE_MISMATCH', /uint8/],
    ['two channels', Tensor.zeros([2, 4, 4]), {}, 'ERR_SHAPE_MISMATCH', /1 or 3 channels/],
    ['the other layout', Tensor.zeros([4, 4, 3]), {}, 'ERR_SHAPE_MISMATCH', /\(C, H, W\)/],
    ['a matrix', Tensor.zeros([3, 3]), {}, 'ERR_SHAPE_MISMATCH', /\(3, 3\)/],
    ['an empty batch', Tensor.zeros([0, 3, 4, 4]), {}, 'ERR_SHAPE_MISMATCH', /at least one pixel/],
    ['no pixels', Tensor.zeros([3, 0, 4]), {}, 'ERR_SHAPE_MISMATCH', /at least one pixel/],
    ['NaN', Tensor.full([3, 4, 4], NaN), {}, 'ERR_OUT_OF_RANGE', /NaN/],
    ['mean alone', Tensor.zeros([3, 4, 4]), { mean: 0 }, 'ERR_INVALID_ARG_VALUE', /no `std`/],
    ['an unknown option', Tensor.zeros([3, 4, 4]), { dtype: 'uint8' }, 'ERR_INVALID_ARG_VALUE', /'dtype'/],
  ] as const)('refuses %s', (_, tensor, options, code, message) => {
    expectThrow(() => (tensor as Tensor).toImage(options as never), code, message);
  });
});

test('presets cannot change', () => {
  expect(
    Object.isFrozen(presets) && Object.isFrozen(presets.imagenet) && Object.isFrozen(presets.imagenet.mean),
  ).toBe(true);
});
