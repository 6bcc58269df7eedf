import { Worker } from 'node:worker_threads';
import path from 'node:path';
import { AotiModel, Batcher, Linear, openShared, ReLU, Sequential, Tensor } from '../../../lib/index';
import { expectEqual, numbers } from './numbers';
import { describeWithPrograms } from './programs';

const load = (file: string, options = {}) => AotiModel.load(file, { trusted: true, ...options });

describeWithPrograms(
  'an AotiModel beside other modules',
  ['conv', 'vit', 'record', 'words', 'same'],
  (programs) => {
    test('a program of one input and one output is a step of a Sequential; others are refused with the reason', async () => {
      const { vit, record, words } = programs();
      const [model, two] = [await load(vit.file), await load(record.file)];
      const chain = new Sequential(model, new ReLU());
      const x = Tensor.randn([2, 3, 32, 32]);
      expectEqual(await chain.forward(x), await new ReLU().forward(await model.forward(x)));
      expectEqual(chain.forwardSync(x), await chain.forward(x));
      await expect(chain.forward(Tensor.randn([2, 3, 32, 31]))).rejects.toMatchObject({
        code: 'ERR_SHAPE_MISMATCH',
      });
      expect(String(chain)).toContain('(0): AotiModel(');
      const refused = (make: () => unknown, reason: string) => {
        expect(make).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }) as Error);
        expect(make).toThrow(reason);
      };
      refused(() => new Sequential(two), 'one input');
      refused(() => new Batcher(two), 'one input');
      const same = await load(programs().same.file);
      refused(() => new Sequential(same), 'one output');
      const ids = await load(words.file);
      refused(() => new Sequential(new Linear(2, 2), ids), 'one input');
      // A wrong tensor inside the chain is found by native code.
      await expect(
        new Sequential(new Linear(32, 3), model).forward(Tensor.randn([2, 3, 32, 32])),
      ).rejects.toMatchObject({
        code: 'ERR_SHAPE_MISMATCH',
      });
    });

    test('a Batcher joins requests along the dynamic first dimension', async () => {
      const model = await load(programs().conv.file);
      const batcher = new Batcher(model, { maxBatchSize: 64 });
      const inputs = Array.from({ length: 40 }, (_, i) => Tensor.randn([1 + (i % 3), 3, 16, 16]));
      const alone = inputs.map((x) => model.forwardSync(x));
      const outputs = await Promise.all(inputs.map((x) => batcher.forward(x)));
      outputs.forEach((output, i) => {
        expectEqual(output, alone[i]);
      });
      expect(batcher.stats().batches).toBeLessThan(inputs.length);
      await batcher.close();
      // As a step of a Sequential too.
      const chain = new Sequential(model, new Linear(5, 3));
      const chained = new Batcher(chain, { maxBatchSize: 64 });
      const expected = inputs.map((x) => chain.forwardSync(x));
      for (let i = 0; i < 2; i++) {
        const results = await Promise.all(inputs.map((x) => chained.forward(x)));
        results.forEach((output, k) => {
          expectEqual(output, expected[k]);
        });
      }
      await chained.close();
      const same = new Batcher(await load(programs().same.file));
      const results = await Promise.all(inputs.map(() => same.forward<Tensor[]>(Tensor.ones([2, 16]))));
      // Its outputs do not grow with the batch: each request runs alone.
      expect(results.map(([first, , third]) => [first?.shape, third?.shape])).toEqual(
        inputs.map(() => [
          [2, 16],
          [16, 2],
        ]),
      );
      await same.close();
    });

    test('it stays where it is, and says what it is', async () => {
      const model = await load(programs().conv.file);
      expect([model.device, model.dtype, model.name]).toEqual(['cpu', 'float32', 'model']);
      expect(model.to('cpu')).toBe(model);
      for (const target of ['float64', 'bfloat16'] as const)
        expect(() => model.to(target)).toThrow(
          expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }) as Error,
        );
      expect(String(model)).toMatch(/^AotiModel\(\w+: float32 \(.*3, 16, 16\)\)$/);
      await expect(load(programs().conv.file, { device: 'cuda' })).rejects.toMatchObject({
        code: 'ERR_DEVICE_MISMATCH',
      });
      expect(() => new (AotiModel as unknown as new () => AotiModel)()).toThrow('AotiModel.load');
      model.dispose();
      model.dispose();
      await expect(model.forward(Tensor.ones([1, 3, 16, 16]))).rejects.toMatchObject({
        code: 'ERR_DISPOSED',
      });
      expect(() => model.inputs).toThrow(expect.objectContaining({ code: 'ERR_DISPOSED' }) as Error);
    });

    test('disposal while runs are under way lets them finish', async () => {
      const model = await load(programs().vit.file);
      const x = Tensor.randn([8, 3, 32, 32]);
      const expected = model.forwardSync(x);
      const running = Array.from({ length: 8 }, () => model.forward(x));
      model.dispose();
      for (const output of await Promise.all(running)) expectEqual(output, expected);
    });

    test('trust, options, and `inputs` that contradict the package', async () => {
      const { file } = programs().conv;
      await expect(AotiModel.load(file, {} as never)).rejects.toMatchObject({ code: 'ERR_UNTRUSTED_CODE' });
      await expect(AotiModel.load(file, { trusted: false })).rejects.toMatchObject({
        code: 'ERR_UNTRUSTED_CODE',
      });
      await expect(AotiModel.load(file, undefined as never)).rejects.toMatchObject({
        code: 'ERR_UNTRUSTED_CODE',
      });
      const option = (shape: unknown, dtype = 'float32') => ({
        inputs: [{ name: 'pictures', dtype, shape }],
      });
      const wrong: [code: string, options: object][] = [
        ['ERR_INVALID_ARG_TYPE', { trusted: 'yes' }],
        ['ERR_INVALID_ARG_VALUE', { unknown: 1 }],
        ['ERR_OUT_OF_RANGE', { instances: 0 }],
        ['ERR_OUT_OF_RANGE', { instances: 65 }],
        ['ERR_INVALID_ARG_VALUE', { inputs: [] }],
        ['ERR_INVALID_ARG_VALUE', option(['batch', 3, 16, 17])],
        ['ERR_INVALID_ARG_VALUE', option(['batch', 3, 16])],
        ['ERR_INVALID_ARG_VALUE', option(['batch', 3, 16, 'width'], 'float64')],
        ['ERR_INVALID_ARG_TYPE', option([null, 3, 16, 16])],
      ];
      for (const [code, options] of wrong) await expect(load(file, options)).rejects.toMatchObject({ code });
      const model = await load(file, option([4, 3, 16, 16]));
      expect(model.inputs[0]).toMatchObject({ name: 'pictures', shape: [{ min: 4, max: 4 }, 3, 16, 16] });
      await expect(model.forward(Tensor.ones([2, 3, 16, 16]))).rejects.toThrow('`pictures`');
    });

    test('share: another thread runs the same program', async () => {
      const model = await load(programs().conv.file);
      const opened = openShared(model.share());
      const x = Tensor.ones([2, 3, 16, 16]);
      expectEqual(await opened.forward(x), await model.forward(x));
      expect(opened.inputs).toEqual(model.inputs);
      const worker = new Worker(path.join(__dirname, 'scripts', 'shared.cjs'), { workerData: model.share() });
      const sum = await new Promise((resolve, reject) =>
        worker.once('message', resolve).once('error', reject),
      );
      expect(sum).toBeCloseTo(
        numbers(await model.forward(x)).reduce((a, b) => a + b, 0),
        4,
      );
      await worker.terminate();
    });
  },
);
