import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import {
  type AttentionModel,
  Conv2d,
  type ErrorCode,
  presets,
  Tensor,
  TokenLearner,
  visualize,
} from '../../../lib';
import { expectReject } from '../formats/support';
import { temporaryFolder } from '../libtorch/support';
import { fakeModel, gradient } from './support';

const folder = temporaryFolder();
const model = fakeModel([0, 1, 2, 3, 4, 5, -1, -0.5, 0, 0.5, 1, 7], [2, 2, 3]);
const features = Tensor.zeros([4, 2, 3]);

describe('errors', () => {
  const input = gradient(8, 8);
  const cases: [string, () => Promise<unknown>, ErrorCode, RegExp][] = [
    ['no model', () => visualize({} as never, features), 'ERR_INVALID_ARG_TYPE', /a module for `model`/],
    [
      'a model without attention',
      () => visualize(new Conv2d(4, 4, 1), features),
      'ERR_INVALID_ARG_VALUE',
      /such as a TokenLearner, for `model`/,
    ],
    [
      'a model that gives something else',
      () => visualize({ forward: () => Promise.resolve(3) }, features),
      'ERR_INVALID_ARG_VALUE',
      /its forward gave 3/,
    ],
    [
      'a model whose forward gives no promise',
      () => visualize({ forward: () => 3 } as never, features),
      'ERR_INVALID_ARG_VALUE',
      /its forward gave 3/,
    ],
    [
      'maps of too few dimensions',
      () => visualize(fakeModel([1, 2], [1, 2]), features),
      'ERR_SHAPE_MISMATCH',
      /\(\.\.\., G, H, W\)/,
    ],
    [
      'maps that are not finite',
      () => visualize(fakeModel([1, NaN], [1, 1, 2]), features),
      'ERR_OUT_OF_RANGE',
      /token 0 of picture 0 holds NaN/,
    ],
    [
      'several pictures from one',
      () => visualize(fakeModel([1, 2], [2, 1, 1, 1]), input),
      'ERR_SHAPE_MISMATCH',
      /of one picture/,
    ],
    [
      'a picture without a backbone',
      () => visualize(new TokenLearner({ dim: 4 }), input),
      'ERR_SHAPE_MISMATCH',
      /give `options.backbone`.*features.*Expected 4 channels/,
    ],
    [
      'a backbone that gives no tensor',
      () => visualize(model, input, { backbone: { forward: () => Promise.resolve([]) } }),
      'ERR_INVALID_ARG_VALUE',
      /options\.backbone/,
    ],
    [
      'a backbone that is no module',
      () => visualize(model, input, { backbone: 3 as never }),
      'ERR_INVALID_ARG_TYPE',
      /options\.backbone/,
    ],
    [
      'tensors in a list',
      () => visualize(model, [input, features] as never),
      'ERR_INVALID_ARG_TYPE',
      /a picture, or features stacked into one tensor \(N, C, H, W\), for `input\[1\]`/,
    ],
    [
      'a tensor as the picture',
      () => visualize(model, features, { picture: features as never }),
      'ERR_INVALID_ARG_TYPE',
      /a picture, or pixels as `tensor\.toImage\(\)` gives them, for `options\.picture`/,
    ],
    ['no pictures', () => visualize(model, []), 'ERR_INVALID_ARG_VALUE', /non-empty array for `input`/],
    ['a wrong input', () => visualize(model, 3 as never), 'ERR_INVALID_ARG_TYPE', /received 3/],
    [
      'a disposed tensor',
      () => {
        const gone = Tensor.ones([1]);
        gone.dispose();
        return visualize(model, gone);
      },
      'ERR_DISPOSED',
      /disposed/,
    ],
    ['a missing file', () => visualize(model, path.join(folder, 'none.jpg')), 'ERR_FILE_IO', /none\.jpg/],
    [
      'a file that is no picture',
      () => visualize(model, Uint8Array.of(1, 2, 3)),
      'ERR_FILE_FORMAT',
      /the given bytes: not a picture/,
    ],
    [
      'an unknown option',
      () => visualize(model, features, { colour: 1 } as never),
      'ERR_INVALID_ARG_VALUE',
      /'colour'/,
    ],
    [
      'a picture for pictures',
      () => visualize(model, input, { picture: input }),
      'ERR_INVALID_ARG_VALUE',
      /no `options.picture`/,
    ],
    [
      'two pictures for three',
      () => visualize(fakeModel([1, 2, 3], [3, 1, 1, 1]), features, { picture: [input, input] }),
      'ERR_INVALID_ARG_VALUE',
      /1 or 3 of `options.picture`/,
    ],
    [
      'two pictures for one',
      () => visualize(model, features, { picture: [input, input] }),
      'ERR_INVALID_ARG_VALUE',
      /Expected 1 of `options.picture`/,
    ],
    [
      'a resize of a tensor',
      () => visualize(model, features, { resize: 4, grayscale: true }),
      'ERR_INVALID_ARG_VALUE',
      /no `options.resize`, `options.grayscale`/,
    ],
    [
      'a normalisation of a tensor',
      () => visualize(model, features, { picture: input, crop: 4, ...presets.imagenet }),
      'ERR_INVALID_ARG_VALUE',
      /no `options.mean`, `options.std`/,
    ],
    [
      'an opacity over nothing',
      () => visualize(model, features, { opacity: 1 }),
      'ERR_INVALID_ARG_VALUE',
      /no `options.opacity`/,
    ],
    [
      'an animated PNG',
      () => visualize(model, features, { animate: true }),
      'ERR_INVALID_ARG_VALUE',
      /'gif', 'webp' or 'raw'/,
    ],
    [
      'fps of a sheet',
      () => visualize(model, features, { fps: 2 }),
      'ERR_INVALID_ARG_VALUE',
      /no `options.fps`/,
    ],
    [
      'a transparent GIF',
      () => visualize(model, features, { format: 'gif', theme: 'auto' }),
      'ERR_INVALID_ARG_VALUE',
      /for a GIF/,
    ],
    [
      'captions of another number',
      () => visualize(model, features, { captions: ['a', 'b'] }),
      'ERR_INVALID_ARG_VALUE',
      /Expected 1 of `options.captions`/,
    ],
    [
      'a token that is not there',
      () => visualize(model, features, { tokens: [2] }),
      'ERR_OUT_OF_RANGE',
      /below 2/,
    ],
    [
      'no tokens',
      () => visualize(model, features, { tokens: [] }),
      'ERR_INVALID_ARG_VALUE',
      /options\.tokens/,
    ],
    [
      'too many columns',
      () => visualize(model, features, { columns: 3 }),
      'ERR_OUT_OF_RANGE',
      /at most 2 for `options.columns`/,
    ],
    [
      'a range of one value',
      () => visualize(model, features, { range: [1, 1] }),
      'ERR_OUT_OF_RANGE',
      /options\.range/,
    ],
    [
      'a range whose width is no number',
      () => visualize(model, features, { range: [-1e308, 1.7e308] }),
      'ERR_OUT_OF_RANGE',
      /at a finite distance, the lower first, for `options\.range`/,
    ],
    [
      'a range that is no range',
      () => visualize(model, features, { range: 'all' as never }),
      'ERR_INVALID_ARG_VALUE',
      /'token', 'shared'/,
    ],
    [
      'an opacity above 1',
      () => visualize(model, input, { opacity: 1.5 }),
      'ERR_OUT_OF_RANGE',
      /from 0 to 1/,
    ],
    ['tiny tiles', () => visualize(model, features, { tileSize: 3 }), 'ERR_OUT_OF_RANGE', /from 32 to 4096/],
    [
      'a huge sheet',
      () => visualize(fakeModel(new Array<number>(64).fill(1), [64, 1, 1]), features, { tileSize: 4096 }),
      'ERR_OUT_OF_RANGE',
      /smaller `options.tileSize`/,
    ],
    [
      'more pictures than a call has room for arguments',
      () => visualize(fakeModel(new Array<number>(200_000).fill(1), [200_000, 1, 1, 1]), features),
      'ERR_OUT_OF_RANGE',
      /give fewer pictures/,
    ],
    [
      'more frames than a call has room for arguments',
      () => {
        const frames = fakeModel(new Array<number>(200_000).fill(1), [200_000, 1, 1, 1]);
        return visualize(frames, features, { format: 'gif' });
      },
      'ERR_OUT_OF_RANGE',
      /200000 pages .*give fewer pictures/,
    ],
    [
      'a WebP of more than its most pixels a side',
      () =>
        visualize(fakeModel(new Array<number>(9).fill(1), [9, 1, 1]), features, {
          tileSize: 2048,
          columns: 9,
          format: 'webp',
        }),
      'ERR_OUT_OF_RANGE',
      /16383 a side/,
    ],
    [
      'an unknown colour map',
      () => visualize(model, features, { colormap: 'jet' as never }),
      'ERR_INVALID_ARG_VALUE',
      /'viridis'/,
    ],
    [
      'a title that is no text',
      () => visualize(model, features, { title: 3 as never }),
      'ERR_INVALID_ARG_TYPE',
      /options\.title/,
    ],
  ];
  it.each(cases)('%s', async (_, run, code, message) => {
    await expectReject(run(), code, message);
  });

  it('of the model pass through, and so does the reason of a signal', async () => {
    const failing: AttentionModel = { forward: () => Promise.reject(new RangeError('own')) };
    await expect(visualize(failing, features)).rejects.toThrow(new RangeError('own'));
    const sync = {
      forward: () => {
        throw new RangeError('own');
      },
    };
    await expect(visualize(sync, features)).rejects.toThrow(new RangeError('own'));
    const controller = new AbortController();
    const reason = new Error('enough');
    controller.abort(reason);
    const learner = new TokenLearner({ dim: 4, device: 'cpu' });
    await expect(visualize(learner, features, { signal: controller.signal })).rejects.toBe(reason);
  });

  it('a broken JPEG is refused', async () => {
    const file = path.join(folder, 'half.jpg');
    const { data, width, height } = gradient(90, 60);
    await sharp(data, { raw: { width, height, channels: 3 } })
      .jpeg()
      .toFile(file);
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.subarray(0, bytes.length / 2));
    await expectReject(
      visualize(model, file),
      'ERR_FILE_FORMAT',
      /half\.jpg: not a picture that sharp can decode/,
    );
  });
});
