/** Without the package sharp, with one that does not load, and without fonts. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectReject } from '../formats/support';
import { temporaryFolder } from '../libtorch/support';

const folder = temporaryFolder();
const INDEX = path.resolve(__dirname, '..', '..', '..', 'dist', 'index.js');

/** The library as the tests of this file have it now. */
const load = (): typeof import('../../../lib') => jest.requireActual('../../../lib');

describe('without sharp', () => {
  let thrown: Error;
  beforeEach(() => {
    thrown = Object.assign(new Error("Cannot find module 'sharp'"), { code: 'MODULE_NOT_FOUND' });
    jest.resetModules();
    jest.doMock('sharp', () => {
      throw thrown;
    });
  });
  afterEach(() => {
    jest.dontMock('sharp');
  });

  it('encoding and decoding fail with the line that installs it', async () => {
    const library = load();
    const features = library.Tensor.ones([1, 1, 2]);
    const learner = new library.TokenLearner({ dim: 1, device: 'cpu' });
    const message = /is not installed\. Install it with: npm install sharp$/;
    for (const input of [features, Uint8Array.of(1)])
      await expectReject(library.visualize(learner, input), 'ERR_SHARP_UNAVAILABLE', message);
  });

  it('raw pixels of decoded pictures and of features need none', async () => {
    const library = load();
    const learner = new library.TokenLearner({ dim: 3, device: 'cpu' });
    const picture = { data: new Uint8Array(12), width: 2, height: 2 };
    expect((await library.visualize(learner, picture, { format: 'raw' })).pages).toBe(1);
  });

  it('one that does not load says why', async () => {
    thrown = new Error('Could not load the "sharp" module using the linux-x64 runtime');
    const library = load();
    const learner = new library.TokenLearner({ dim: 1, device: 'cpu' });
    await expectReject(
      library.visualize(learner, library.Tensor.ones([1, 1, 2])),
      'ERR_SHARP_UNAVAILABLE',
      /could not be loaded: Could not load the "sharp" module/,
    );
  });

  it('one that cannot write animations is too old', async () => {
    const pipeline = {
      removeAlpha: () => pipeline,
      gif: () => pipeline,
      toBuffer: () => Promise.resolve({ data: Buffer.of(1), info: { width: 1, height: 1, channels: 3 } }),
    };
    jest.doMock('sharp', () => ({ __esModule: true, default: () => pipeline }));
    const library = load();
    const learner = new library.TokenLearner({ dim: 1, device: 'cpu' });
    const frames = library.Tensor.ones([2, 1, 1, 2]);
    await expectReject(
      library.visualize(learner, frames, { format: 'gif' }),
      'ERR_SHARP_UNAVAILABLE',
      /too old to write animations.*npm install sharp@latest/,
    );
  });
});

describe('without fonts', () => {
  const program = `
    const { visualize, Tensor } = require(${JSON.stringify(INDEX)});
    const model = { forward: () => Promise.resolve({ attention: Tensor.from([0, 1, -2.5, 3], [2, 1, 2]) }) };
    visualize(model, Tensor.ones([1]), { title: 'Numbers 0123456789', range: 'shared', theme: 'dark' })
      .then(({ data }) => process.stdout.write(Buffer.from(data).toString('base64')));`;
  const run = (env: Record<string, string>): string => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--eval', program], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
      maxBuffer: 2 ** 26,
    });
    expect([status, stderr]).toEqual([0, '']);
    return stdout;
  };

  it('a sheet is the same, byte for byte', () => {
    const empty = path.join(folder, 'fonts.conf');
    mkdirSync(path.join(folder, 'none'), { recursive: true });
    writeFileSync(
      empty,
      `<?xml version="1.0"?><fontconfig><dir>${path.join(folder, 'none')}</dir><cachedir>${folder}</cachedir></fontconfig>`,
    );
    const without = run({ FONTCONFIG_FILE: empty, HOME: folder, XDG_DATA_HOME: folder });
    expect(without.length).toBeGreaterThan(1000);
    expect(without).toBe(run({}));
  });

  it('texts are drawn: a number changes the pixels', async () => {
    const library = load();
    const pixels = async (top: number): Promise<string> => {
      const model = {
        forward: () => Promise.resolve({ attention: library.Tensor.from([0, top], [1, 1, 2]) }),
      };
      const { data } = await library.visualize(model, library.Tensor.ones([1]), {
        format: 'raw',
        tileSize: 64,
      });
      return Buffer.from(data).toString('base64');
    };
    expect(await pixels(1)).not.toBe(await pixels(2));
    expect(await pixels(1)).toBe(await pixels(1));
  });
});
