import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { requireLibtorch } from '../../../lib/binding';
import { programConfig } from '../../../lib/aoti/description';
import { executableLibrary } from '../../../lib/aoti/noexec';
import { messageOf } from '../../../lib/errors';
import { formatErrors } from '../../../lib/formats/format-error';
import type { LayerHandle } from '../../../lib/native-interface';
import { Tensor } from '../../../lib/index';
import { flattened, tensorArgument } from '../../../lib/tensor/tensor';

/** What each fake does wrong: MODE of fake-program.cpp. */
const MODES = { create: 1, thing: 2, status: 3, destroy: 4, missing: 5, run: 6 };
const compiler = process.env.CXX ?? 'g++';
const hasCompiler = process.platform === 'linux' && spawnSync(compiler, ['--version']).status === 0;

(hasCompiler ? describe : describe.skip)('a library that is no good program', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-fake-'));
  const native = requireLibtorch('a test');

  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  function layerOf(library: string): LayerHandle {
    const inputs = [{ name: 'x', dtype: 'float32', shape: [2, 3] }] as const;
    const files = { library, folder, weights: '', instances: 1, device: 'cpu' } as const;
    return native.createLayer('aoti', programConfig(files, inputs, undefined), [], 6, -1);
  }

  const fake = (mode: keyof typeof MODES): LayerHandle => layerOf(compiled(mode));

  function compiled(mode: keyof typeof MODES): string {
    const library = path.join(folder, `${mode}.so`);
    const source = path.join(__dirname, 'fake-program.cpp');
    const { status, stderr } = spawnSync(
      compiler,
      ['-std=c++17', '-shared', '-fPIC', `-DMODE=${MODES[mode]}`, '-o', library, source],
      { encoding: 'utf8' },
    );
    expect({ status, stderr }).toMatchObject({ status: 0 });
    return library;
  }

  const argument = (shape: number[]) => flattened(tensorArgument('x', Tensor.ones(shape)));

  test('a file that is no library, and one that lacks a function', async () => {
    const text = path.join(folder, 'text.so');
    writeFileSync(text, 'no library');
    for (const layer of [layerOf(text), layerOf(path.join(folder, 'absent.so'))])
      await expect(native.openProgram(layer, [], [])).rejects.toMatchObject({ code: 'ERR_AOTI_PACKAGE' });
    await expect(native.openProgram(fake('missing'), [], [])).rejects.toMatchObject({
      code: 'ERR_AOTI_PACKAGE',
      message: expect.stringContaining('AOTInductorModelContainerRun') as string,
    });
  });

  test('an exception that leaves the C interface is an error of that call', async () => {
    await expect(native.openProgram(fake('create'), [], [])).rejects.toMatchObject({
      code: 'ERR_AOTI_RUN',
      message: 'The compiled program could not be loaded: thrown by create',
    });
    for (const mode of ['run', 'thing', 'status'] as const) {
      const layer = fake(mode);
      await native.openProgram(layer, [], []);
      for (let i = 0; i < 3; i++) {
        await expect(
          native.forward(layer, undefined, 0, undefined, ...argument([2, 3])),
        ).rejects.toMatchObject({
          code: 'ERR_AOTI_RUN',
        });
        expect(() => native.forwardSync(layer, undefined, ...argument([2, 3]))).toThrow(
          'The compiled program could not run',
        );
      }
      native.disposeLayer(layer);
    }
    const layer = fake('destroy');
    await native.openProgram(layer, [], []);
    native.disposeLayer(layer);
  });

  test('copies in memory, each closed before the next one is made, are libraries of their own', async () => {
    const thrown = [];
    for (const mode of ['run', 'status'] as const) {
      const opened = await executableLibrary(
        compiled(mode),
        () => native,
        formatErrors('x.pt2'),
        () => true,
      );
      const layer = layerOf(opened.path);
      await native.openProgram(layer, [], []);
      opened.close();
      thrown.push(native.forward(layer, undefined, 0, undefined, ...argument([2, 3])).catch(messageOf));
    }
    expect(await Promise.all(thrown)).toEqual([
      'The compiled program could not run: thrown by run',
      'The compiled program could not run',
    ]);
  });

  test('native code checks inputs again, and refuses a program that is not open', async () => {
    const layer = fake('run');
    await expect(native.forward(layer, undefined, 0, undefined, ...argument([2, 3]))).rejects.toMatchObject({
      code: 'ERR_AOTI_PACKAGE',
    });
    expect(() => native.describeProgram(layer)).toThrow('not opened');
    await native.openProgram(layer, [], []);
    for (const shape of [[2], [2, 4], [3, 3], [2, 3, 1]])
      expect(() => native.forwardSync(layer, undefined, ...argument(shape))).toThrow(
        expect.objectContaining({ code: 'ERR_SHAPE_MISMATCH' }) as Error,
      );
    expect(() => native.forwardSync(layer, undefined, ...argument([2, 3]), ...argument([2, 3]))).toThrow(
      'Expected 1 inputs',
    );
    const half = flattened(tensorArgument('x', Tensor.ones([2, 3]).to('float64')));
    expect(() => native.forwardSync(layer, undefined, ...half)).toThrow(
      expect.objectContaining({ code: 'ERR_DTYPE_MISMATCH' }) as Error,
    );
    expect(() => native.describeProgram({} as LayerHandle)).toThrow('Expected a layer');
  });

  test('symbols of libtorch', () => {
    expect(native.missingTorchSymbols(['aoti_torch_get_dim', 'aoti_torch_no_such_thing'])).toEqual([
      'aoti_torch_no_such_thing',
    ]);
  });
});
