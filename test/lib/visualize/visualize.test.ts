import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import {
  type AttentionModel,
  Conv2d,
  manualSeed,
  presets,
  Tensor,
  TokenLearner,
  type Visualization,
  visualize,
  type VisualizeOptions,
} from '../../../lib';
import { colorTable } from '../../../lib/visualize/colormap';
import { textsWidth } from '../../../lib/visualize/draw';
import { type Block, layOut, type Page, type PageStyle } from '../../../lib/visualize/page';
import { temporaryFolder } from '../libtorch/support';
import { bilinear, fakeModel, gradient, pixel } from './support';

const folder = temporaryFolder();
const photo = path.join(folder, 'photo.jpg');
const SIDE = 64;

beforeAll(async () => {
  const { data, ...raw } = gradient(90, 60);
  await sharp(data, { raw: { ...raw, channels: 3 } })
    .jpeg()
    .toFile(photo);
});

/** The places on the page of a result, from the layout itself. */
function pageOf(blocks: Block[], style: Partial<PageStyle>): Page {
  return layOut(blocks, {
    columns: 9,
    text: 10,
    title: false,
    headings: false,
    sharedNumbers: undefined,
    narrowest: 0,
    ...style,
  });
}

const maps = [0, 1, 2, 3, 4, 5, -1, -0.5, 0, 0.5, 1, 7];
/** Two tokens' maps of 2 x 3. */
const model = fakeModel(maps, [2, 2, 3]);
const features = Tensor.zeros([4, 2, 3]);
const wide: Block = { tile: { width: 64, height: 43 }, tiles: 2 };

describe('the pixels of a map', () => {
  const ranges: [VisualizeOptions['range'] & {}, [number, number], [number, number]][] = [
    ['token', [0, 5], [-1, 7]],
    ['shared', [-1, 7], [-1, 7]],
    [
      [0, 2],
      [0, 2],
      [0, 2],
    ],
  ];
  it.each(ranges)('are the colours of the interpolated values in range %j', async (range, first, second) => {
    const options = { format: 'raw', tileSize: SIDE, columns: 2, range } as const;
    const result = await visualize(model, features, options);
    const page = pageOf([wide], { columns: 2 });
    const table = colorTable('viridis');
    [first, second].forEach(([min, max], g) => {
      const box = page.blocks[0]?.tiles[g] ?? page.bar;
      const wrong: unknown[] = [];
      for (let row = 0; row < box.height; row++) {
        for (let column = 0; column < box.width; column++) {
          const map = maps.slice(g * 6, g * 6 + 6);
          const value = bilinear(map, [2, 3], [box.height, box.width], [row, column]);
          const part = Math.min(Math.max((value - min) / (max - min), 0), 1) * 255;
          const given = pixel(result, box.x + column, box.y + row);
          // In float32 a value may round to the neighbouring colour.
          const colors = [Math.round(part - 1e-3), Math.round(part + 1e-3)].map((i) =>
            [...table.subarray(i * 3, i * 3 + 3), 255].join(),
          );
          if (!colors.includes(given.join())) wrong.push({ row, column, given });
        }
      }
      expect(wrong).toEqual([]);
    });
  });

  it('lie over the picture in grey', async () => {
    const picture = gradient(96, 64);
    const opacity = 0.25;
    const result = await visualize(model, features, {
      ...{ picture, opacity, format: 'raw', tileSize: 96, columns: 3 },
    });
    const page = pageOf([{ tile: { width: 96, height: 64 }, tiles: 3 }], { columns: 3 });
    const [under, over] = page.blocks[0]?.tiles ?? [];
    const table = colorTable('viridis');
    for (const [x, y] of [
      [0, 0],
      [95, 63],
      [40, 20],
      [10, 60],
    ] as const) {
      const at = (y * 96 + x) * 3;
      const [r = 0, g = 0, b = 0] = picture.data.subarray(at, at + 3);
      expect(pixel(result, (under?.x ?? 0) + x, (under?.y ?? 0) + y)).toEqual([r, g, b, 255]);
      const grey = 0.299 * r + 0.587 * g + 0.114 * b;
      const index = Math.round((bilinear(maps.slice(0, 6), [2, 3], [64, 96], [y, x]) / 5) * 255);
      const shown = pixel(result, (over?.x ?? 0) + x, (over?.y ?? 0) + y);
      [0, 1, 2].forEach((c) => {
        const expected = grey * (1 - opacity) + (table[index * 3 + c] ?? 0) * opacity;
        expect(Math.abs((shown[c] ?? NaN) - expected)).toBeLessThanOrEqual(1.5);
      });
    }
  });

  it('of coolwarm have their middle at zero', async () => {
    const even = fakeModel([-1, 4, 0, 2], [1, 2, 2]);
    const options = { format: 'raw', tileSize: SIDE, colormap: 'coolwarm' } as const;
    const result = await visualize(even, features, options);
    const { x, y } =
      pageOf([{ tile: { width: 64, height: 64 }, tiles: 1 }], { columns: 1 }).blocks[0]?.tiles[0] ??
      (wide.tile as never);
    const table = colorTable('coolwarm');
    const color = (index: number): number[] => [...table.subarray(index * 3, index * 3 + 3), 255];
    expect(pixel(result, x, y + 63)).toEqual(color(128));
    expect(pixel(result, x + 63, y)).toEqual(color(255));
    expect(pixel(result, x, y)).toEqual(color(96));
  });

  it('of one value have the middle colour', async () => {
    const result = await visualize(fakeModel([3, 3], [1, 1, 2]), features, { format: 'raw', tileSize: SIDE });
    const box = pageOf([{ tile: { width: 64, height: 32 }, tiles: 1 }], { columns: 1 }).blocks[0]?.tiles[0];
    expect(pixel(result, box?.x ?? 0, box?.y ?? 0)).toEqual([
      ...colorTable('viridis').subarray(384, 387),
      255,
    ]);
  });
});

describe('what it shows', () => {
  it('one picture: the picture and a map a token, in the proportions of what the model sees', async () => {
    const backbone = new Conv2d(3, 8, 8, { stride: 8, device: 'cpu' });
    const learner = new TokenLearner({ dim: 8, numOutputTokens: 3, device: 'cpu' });
    const sheet = await visualize(learner, photo, {
      ...presets.imagenet,
      ...{ backbone, resize: 64, crop: { width: 80, height: 56 }, tileSize: 120, columns: 2, title: 'Photo' },
    });
    const page = pageOf([{ tile: { width: 120, height: 84 }, tiles: 4 }], { columns: 2, title: true });
    const metadata = await sharp(sheet.data).metadata();
    expect(metadata).toMatchObject({ format: 'png', width: page.width, height: page.height, channels: 3 });
    expect(sheet).toMatchObject({ format: 'png', width: page.width, height: page.height, pages: 1 });
  });

  it('the picture where the model saw it: a crop of the picture itself, in its own resolution', async () => {
    const picture = gradient(200, 100);
    const one = fakeModel([0, 1], [1, 1, 1, 2]);
    const result = await visualize(one, picture, {
      resize: 20,
      crop: 10,
      format: 'raw',
      tileSize: 50,
      columns: 1,
    });
    expect(one.inputs[0]?.shape).toEqual([1, 3, 10, 10]);
    const page = pageOf([{ tile: { width: 50, height: 50 }, tiles: 2 }], { columns: 1 });
    const { x = 0, y = 0 } = page.blocks[0]?.tiles[0] ?? {};
    // The 10 x 10 of 40 x 20 are the 50 x 50 from (75, 25) on of 200 x 100: no pixel is resampled.
    for (const [column, row] of [
      [0, 0],
      [49, 0],
      [25, 30],
      [49, 49],
    ] as const) {
      const at = ((25 + row) * 200 + 75 + column) * 3;
      expect(pixel(result, x + column, y + row)).toEqual([...picture.data.subarray(at, at + 3), 255]);
    }
  });

  it('several pictures: rows of a sheet, or an animation', async () => {
    const pictures = [gradient(60, 40), gradient(40, 60), gradient(50, 50)];
    const three = fakeModel([0, 1, 2, 3], [1, 1, 2, 2]);
    const sheet = await visualize(three, pictures, { tileSize: 48 });
    const animation = await visualize(three, pictures, { tileSize: 48, format: 'gif', fps: 5 });
    expect(sheet.pages).toBe(1);
    const { pages, delay, loop, width, height } = await sharp(animation.data, { animated: true }).metadata();
    expect({ pages, delay, loop, width }).toEqual({
      pages: 3,
      delay: [200, 200, 200],
      loop: 0,
      width: animation.width,
    });
    expect(height).toBe(animation.height * 3);
    expect(sheet.height).toBeGreaterThan(animation.height + 100);
    expect(sheet.width).toBe(animation.width);
    const webp = await visualize(three, pictures, { tileSize: 48, format: 'webp' });
    expect((await sharp(webp.data, { animated: true }).metadata()).pages).toBe(3);
    const still = await visualize(three, pictures, { tileSize: 48, format: 'webp', animate: false });
    expect([still.pages, still.height, (await sharp(still.data).metadata()).format]).toEqual([
      1,
      sheet.height,
      'webp',
    ]);
  });

  it('features (T, C, H, W): the same range for a token in all frames', async () => {
    const frames = fakeModel([0, 1, 2, 4], [4, 1, 1, 1]);
    const result = await visualize(frames, features, { format: 'raw', animate: true, tileSize: 32 });
    expect([result.pages, result.data.length]).toEqual([4, result.width * result.height * 16]);
    const narrowest = textsWidth(['token 0'], [[0, 4]], 10);
    const style = { columns: 1, headings: true, narrowest };
    const page = pageOf([{ tile: { width: 32, height: 32 }, tiles: 1 }], style);
    const { x = 0, y = 0 } = page.blocks[0]?.tiles[0] ?? {};
    const table = colorTable('viridis');
    [0, 64, 128, 255].forEach((index, frame) => {
      const color = pixel(result, x, y + frame * result.height);
      expect(color).toEqual([...table.subarray(index * 3, index * 3 + 3), 255]);
    });
  });

  it('equal frames: as many as there are in the file', async () => {
    const frames = fakeModel([1, 1, 1, 2], [4, 1, 1, 1]);
    const [gif, webp] = await Promise.all(
      (['gif', 'webp'] as const).map((format) => visualize(frames, features, { format, tileSize: 32 })),
    );
    expect(await sharp(gif?.data, { animated: true }).metadata()).toMatchObject({
      pages: 4,
      delay: [250, 250, 250, 250],
    });
    expect(gif?.pages).toBe(4);
    const { pages, delay } = await sharp(webp?.data, { animated: true }).metadata();
    expect([webp?.pages, delay?.reduce((sum, each) => sum + each, 0)]).toEqual([pages, 1000]);
    const same = await visualize(fakeModel([1, 1], [2, 1, 1, 1]), features, { format: 'webp', tileSize: 32 });
    expect(same.pages).toBe((await sharp(same.data, { animated: true }).metadata()).pages ?? 1);
  });

  it('the name of the class in the line at the bottom, where the model has one', async () => {
    const forward = (input: Tensor, options: unknown) => model.forward(input, options) as Promise<unknown>;
    const drawn = async (each: AttentionModel): Promise<string> =>
      Buffer.from((await visualize(each, features, { format: 'raw', tileSize: 32 })).data).toString('base64');
    class Named {
      forward = forward;
    }
    const nameless = [
      { forward },
      Object.assign(Object.create(null) as object, { forward }),
      new (class {
        forward = forward;
      })(),
    ];
    const [first = '', ...others] = await Promise.all(nameless.map((each) => drawn(each as AttentionModel)));
    expect(others).toEqual([first, first]);
    expect(await drawn(new Named())).not.toBe(first);
  });

  it('one picture as a GIF or WebP: a still one, as a PNG has it', async () => {
    const png = await visualize(model, features, { tileSize: 40 });
    for (const format of ['gif', 'webp'] as const) {
      const still = await visualize(model, features, { tileSize: 40, format, fps: 2 });
      expect(still).toMatchObject({ format, width: png.width, height: png.height, pages: 1 });
      expect((await sharp(still.data, { animated: true }).metadata()).pages ?? 1).toBe(1);
    }
  });

  it.each([
    [8, SIDE, [1, 20, 1]],
    [SIDE, 8, [1, 1, 20]],
  ])('maps of one row or column as tiles of %d x %d', async (width, height, shape) => {
    const narrow = fakeModel(new Array<number>(20).fill(2), shape);
    const options = { format: 'raw', range: [0, 2], tileSize: SIDE } as const;
    const result = await visualize(narrow, features, options);
    // The map is the first yellow from the left: the shared bar stands right of it.
    const yellow = (x: number, y: number): boolean => pixel(result, x, y).join() === '253,231,37,255';
    const all = Array.from({ length: result.width * result.height }, (_, i) => i);
    const at = all.findIndex((i) => yellow(i % result.width, Math.floor(i / result.width)));
    const [left, top] = [at % result.width, Math.floor(at / result.width)];
    const [right, bottom] = [left + width - 1, top + height - 1];
    expect([yellow(right, bottom), yellow(right + 1, top), yellow(left, bottom + 1)]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('some tokens, in any order', async () => {
    const constant = fakeModel([0, 0, 1, 1, 2, 2], [3, 1, 2]);
    const options = { tokens: [2, 0], format: 'raw', range: [0, 2], tileSize: 32, columns: 2 } as const;
    const result = await visualize(constant, features, options);
    const narrowest = textsWidth(['token 0', 'token 2'], [], 10);
    const style = { columns: 2, sharedNumbers: 20, narrowest };
    const page = pageOf([{ tile: { width: 32, height: 16 }, tiles: 2 }], style);
    const colors = page.blocks[0]?.tiles.map(({ x, y }) => pixel(result, x, y).slice(0, 3));
    expect(colors).toEqual([
      [253, 231, 37],
      [68, 1, 84],
    ]);
  });

  it('grey pictures to models of one channel, and grey as three to others', async () => {
    const one = fakeModel([0, 1], [1, 1, 2]);
    const grey = { data: Uint8Array.of(0, 255), width: 2, height: 1 };
    await visualize(one, grey, { format: 'raw', grayscale: true });
    await visualize(one, grey, { format: 'raw' });
    await visualize(
      one,
      { data: Uint8Array.of(255, 0, 0), width: 1, height: 1 },
      { format: 'raw', grayscale: true },
    );
    expect(one.inputs.map(({ shape }) => shape)).toEqual([
      [1, 1, 1, 2],
      [1, 3, 1, 2],
      [1, 1, 1, 1],
    ]);
    // Pillow: Image.new('RGB', (1, 1), 'red').convert('L') is 76.
    expect(Math.round((one.inputs[2]?.item() ?? 0) * 255)).toBe(76);
  });

  it('themes: the background is the theme, and transparent for auto', async () => {
    const corner = async (theme: 'light' | 'dark' | 'auto'): Promise<number[]> =>
      pixel(await visualize(model, features, { format: 'raw', theme }), 0, 0);
    expect(await corner('light')).toEqual([255, 255, 255, 255]);
    expect(await corner('dark')).toEqual([13, 17, 23, 255]);
    expect(await corner('auto')).toEqual([0, 0, 0, 0]);
    const png = await visualize(model, features, { theme: 'auto' });
    expect((await sharp(png.data).metadata()).hasAlpha).toBe(true);
  });

  it('the same pixels in a PNG as raw', async () => {
    const png = await visualize(model, features, { picture: photo, captions: ['caption'], title: 'Title' });
    const raw = await visualize(model, features, {
      picture: photo,
      captions: ['caption'],
      title: 'Title',
      format: 'raw',
    });
    const decoded = await sharp(png.data).ensureAlpha().raw().toBuffer();
    expect(decoded.equals(raw.data)).toBe(true);
  });

  it('texts: each changes the picture', async () => {
    const digest = async (options: VisualizeOptions): Promise<string> =>
      Buffer.from((await visualize(model, features, { ...options, format: 'raw' })).data).toString('base64');
    const pictures = await Promise.all([
      digest({}),
      digest({ title: 'a' }),
      digest({ title: 'b' }),
      digest({ captions: ['a'] }),
      digest({ captions: ['b'] }),
    ]);
    expect(new Set(pictures).size).toBe(5);
  });

  it('the same from a path, a file URL, bytes and a Blob; and from a dtype other than float32', async () => {
    manualSeed(1);
    const own = new TokenLearner({ dim: 3, numOutputTokens: 2, device: 'cpu' });
    const bytes = readFileSync(photo);
    const sources = [photo, pathToFileURL(photo), new Uint8Array(bytes), new Blob([bytes])];
    const results: Visualization[] = [];
    for (const source of sources)
      results.push(await visualize(own, source, { captions: ['x'], tileSize: 40, format: 'raw' }));
    for (const { data } of results)
      expect(Buffer.from(data).equals(results[0]?.data ?? Buffer.of())).toBe(true);
    const double = own.to('float64');
    await visualize(double, photo, { format: 'raw' });
    await visualize(double, Tensor.ones([3, 2, 2]), { format: 'raw' });
  });

  it('the orientation of a photograph is that of its metadata', async () => {
    const turned = await sharp(photo).withMetadata({ orientation: 6 }).toBuffer();
    const one = fakeModel([0, 1], [1, 1, 2]);
    await visualize(one, turned, { format: 'raw' });
    expect(one.inputs[0]?.shape).toEqual([1, 3, 90, 60]);
  });
});
