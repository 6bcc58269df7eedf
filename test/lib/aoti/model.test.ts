import { AotiModel, loadNpz, openShared, Tensor } from '../../../lib/index';
import { difference, expectEqual, numbers, RELATIVE, values } from './numbers';
import { BATCHES, describeWithPrograms } from './programs';

const load = (file: string, options = {}) => AotiModel.load(file, { trusted: true, ...options });

describeWithPrograms(
  'an AotiModel',
  ['conv', 'vit', 'record', 'words', 'throws', 'half', 'same', 'optional'],
  (programs) => {
    test.each(['conv', 'vit', 'half'] as const)('%s has the numbers of PyTorch', async (name) => {
      const { file, values: npz } = programs()[name];
      const [model, dict] = [await load(file), await loadNpz(npz)];
      for (const batch of BATCHES) {
        const [input] = values(dict, `${batch}.in`);
        const [output] = values(dict, `${batch}.out`);
        if (input === undefined) throw new Error('no input');
        const given = input.to(name === 'half' ? 'bfloat16' : 'float32');
        expectEqual(await model.forward(given), output);
        expectEqual(model.forwardSync(given), output);
      }
      model.dispose();
    });

    test('inputs and outputs are trees: arrays, objects, and several dtypes', async () => {
      const { record, words } = programs();
      const [model, dict] = [await load(record.file), await loadNpz(record.values)];
      const [x, y] = values(dict, '4.in');
      const [sum, double, arg] = values(dict, '4.out');
      if (x === undefined || y === undefined) throw new Error('no inputs');
      const result = await model.forward<{ sum: Tensor; parts: [Tensor, [Tensor<'int64'>]] }>(x, y);
      expect(Object.keys(result)).toEqual(['sum', 'parts']);
      expectEqual(result.sum, sum);
      expectEqual(result.parts[0], double);
      expect(result.parts[1][0].dtype).toBe('int64');
      expectEqual(result.parts[1][0], arg);
      expect(model.outputs.map(({ name }) => name)).toEqual(['sum', 'parts_0', 'parts_1_0']);
      const [first, second] = model.inputs.map(({ name }) => name);
      const named = await model.runNamed({ [first ?? '']: x, [second ?? '']: y });
      expect(Object.keys(named)).toEqual(['sum', 'parts_0', 'parts_1_0']);
      expectEqual(named.parts_1_0, arg);

      const [ids, idsDict] = [await load(words.file), await loadNpz(words.values)];
      const inputs = values(idsDict, '7.in') as Tensor[];
      expect(inputs.map(({ dtype }) => dtype)).toEqual(['int64', 'bool']);
      expectEqual(await ids.run(inputs), values(idsDict, '7.out')[0]);
    });

    test('a hundred sizes of batch, each as PyTorch computes its rows', async () => {
      const model = await load(programs().conv.file);
      const rows = await Promise.all(
        Array.from({ length: 100 }, async (_, i) => {
          const x = Tensor.randn([i + 1, 3, 16, 16]);
          const [all, last] = [await model.forward(x), await model.forward(x.narrow(0, i, 1))];
          return difference(all.narrow(0, i, 1), last);
        }),
      );
      // A row's sums may be taken in another order in a batch.
      expect(Math.max(...rows)).toBeLessThan(RELATIVE);
    });

    test('sixteen calls in flight, with one and with several instances, have the numbers that they have alone', async () => {
      for (const instances of [1, 3]) {
        const model = await load(programs().vit.file, { instances });
        expect(model.instances).toBe(instances);
        const inputs = Array.from({ length: 16 }, (_, i) => Tensor.randn([1 + (i % 5), 3, 32, 32]));
        const alone = inputs.map((x) => model.forwardSync(x));
        const together = await Promise.all(inputs.map((x) => model.forward(x)));
        together.forEach((output, i) => {
          expectEqual(output, alone[i]);
        });
      }
    });

    test('an output that is an input or a constant is a copy', async () => {
      const model = await load(programs().same.file);
      const x = Tensor.ones([2, 16]);
      const [same, weight, turned] = await model.forward<[Tensor, Tensor, Tensor]>(x);
      const before = numbers(weight);
      same.data[0] = 5;
      weight.data[0] = 7;
      expect([x.data[0], turned.data[0]]).toEqual([1, 1]);
      expect(turned.shape).toEqual([16, 2]);
      const [, again] = model.forwardSync<[Tensor, Tensor, Tensor]>(x);
      expect(numbers(again)).toEqual(before);
    });

    test('None is null, whatever happens to the model during its first run', async () => {
      const { file, values: npz } = programs().optional;
      const dict = await loadNpz(npz);
      const [x] = values(dict, '4.in');
      const [product, mean] = values(dict, '4.out');
      type Result = [Tensor, null, { mean: Tensor }];
      const expectResult = ([first, none, record]: Result) => {
        expectEqual(first, product);
        expect(none).toBeNull();
        expectEqual(record.mean, mean);
      };
      for (const disturb of [
        (model: AotiModel) => model.loadStateDict({ weight: Tensor.ones([16]) }),
        (model: AotiModel) => {
          model.dispose();
        },
      ]) {
        const model = await load(file);
        const [{ name } = { name: '' }] = model.inputs;
        const runs = [model.forward<Result>(x as Tensor), model.forward<Result>(x as Tensor)];
        const named = model.runNamed({ [name]: x as Tensor });
        disturb(model);
        for (const run of runs) expectResult(await run);
        expect(Object.values(await named).map((each) => each?.shape)).toEqual([[4, 16], undefined, [4]]);
      }
      const model = await load(file);
      const opened = openShared<AotiModel>(model.share());
      expectResult(await opened.forward<Result>(x as Tensor));
      const changed = await load(file);
      changed.loadStateDict({ weight: Tensor.ones([16]) });
      const [same, none] = changed.forwardSync<Result>(x as Tensor);
      expectEqual(same, x);
      expect(none).toBeNull();
    });

    test('JavaScript memory and strided inputs', async () => {
      const model = await load(programs().conv.file);
      const x = Tensor.from(
        new Float32Array(2 * 3 * 16 * 16).map((_, i) => Math.sin(i)),
        [2, 3, 16, 16],
      );
      const strided = x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
      expect(strided.isContiguous).toBe(false);
      expectEqual(await model.forward(strided), await model.forward(x));
    });

    test('wrong inputs are typed errors before the program sees them', async () => {
      const { conv, record } = programs();
      const [model, two] = [await load(conv.file), await load(record.file)];
      const x = Tensor.randn([2, 3, 16, 16]);
      const wrong: [code: string, () => Promise<unknown>][] = [
        ['ERR_SHAPE_MISMATCH', () => model.forward(Tensor.randn([1, 2]))],
        ['ERR_SHAPE_MISMATCH', () => model.forward(Tensor.randn([3, 16, 16]))],
        ['ERR_SHAPE_MISMATCH', () => model.forward(Tensor.randn([2, 3, 16, 17]))],
        ['ERR_SHAPE_MISMATCH', () => model.forward(Tensor.randn([0, 3, 16, 16]))],
        ['ERR_DTYPE_MISMATCH', () => model.forward(x.to('float64'))],
        ['ERR_DTYPE_MISMATCH', () => model.forward(x.to('int64'))],
        ['ERR_INVALID_ARG_TYPE', () => model.forward(null as never)],
        ['ERR_INVALID_ARG_TYPE', () => model.forward([x])],
        ['ERR_INVALID_ARG_VALUE', () => model.forward()],
        ['ERR_INVALID_ARG_VALUE', () => model.forward(x, x)],
        ['ERR_INVALID_ARG_TYPE', () => model.run(x as never)],
        ['ERR_INVALID_ARG_VALUE', () => model.run([x], { kwargs: { mask: x } })],
        ['ERR_INVALID_ARG_VALUE', () => model.run([x], { wrong: 1 } as never)],
        ['ERR_SHAPE_MISMATCH', () => two.forward(Tensor.randn([3, 4]), Tensor.randn([2, 6]))],
        ['ERR_INVALID_ARG_VALUE', () => two.forward(Tensor.randn([3, 4]))],
        ['ERR_INVALID_ARG_VALUE', () => two.runNamed({ x })],
      ];
      for (const [code, call] of wrong) await expect(call()).rejects.toMatchObject({ code });
      const gone = Tensor.randn([1, 3, 16, 16]);
      gone.dispose();
      await expect(model.forward(gone)).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
      expect(() => model.forwardSync(gone)).toThrow(
        expect.objectContaining({ code: 'ERR_DISPOSED' }) as Error,
      );
      expect((await model.forward(Tensor.randn([1, 3, 16, 16]))).shape).toEqual([1, 5]);
    });

    test('a program that throws is a typed error, and runs again', async () => {
      const { throws, words } = programs();
      const model = await load(throws.file);
      const limit = (value: bigint) => Tensor.full([], value, { dtype: 'int64' });
      const x = Tensor.ones([3, 4]);
      for (let i = 0; i < 3; i++) {
        await expect(model.forward(x, limit(9n))).rejects.toMatchObject({
          code: 'ERR_AOTI_RUN',
          message: expect.stringContaining('could not run') as string,
        });
        expect(() => model.forwardSync(x, limit(9n))).toThrow('could not run');
        expect(numbers(await model.forward(x, limit(3n)))).toEqual(Array.from({ length: 12 }, () => 3));
      }
      const ids = await load(words.file);
      const mask = Tensor.ones([1, 5], { dtype: 'bool' });
      await expect(ids.forward(Tensor.full([1, 5], 11n, { dtype: 'int64' }), mask)).rejects.toMatchObject({
        code: 'ERR_AOTI_RUN',
      });
      expect((await ids.forward(Tensor.zeros([1, 5], { dtype: 'int64' }), mask)).shape).toEqual([1, 8]);
    });

    test('any byte but 0 is true in a bool input, as everywhere else', async () => {
      const model = await load(programs().words.file);
      const ids = Tensor.full([1, 5], 3n, { dtype: 'int64' });
      const right = numbers(await model.forward(ids, Tensor.from([[true, false, true, true, true]])));
      const bytes = Tensor.from(new Uint8Array([255, 0, 2, 128, 1]), [1, 5], { dtype: 'bool' });
      expect(numbers(await model.forward(ids, bytes))).toEqual(right);
      expect(numbers(model.forwardSync(ids, bytes))[0]).toBe(right[0]);
    });

    test('a signal and a timeout', async () => {
      const model = await load(programs().vit.file);
      const x = Tensor.randn([64, 3, 32, 32]);
      const stop = new AbortController();
      const calls = Array.from({ length: 4 }, () => model.run([x], { signal: stop.signal }));
      stop.abort(new Error('enough'));
      for (const call of calls) await expect(call).rejects.toThrow('enough');
      const late = Array.from({ length: 8 }, () => model.run([x], { timeoutMs: 0 }));
      expect((await Promise.allSettled(late)).map(({ status }) => status)).toContain('rejected');
      expect((await model.forward(x)).shape).toEqual([64, 32, 4, 4]);
    });
  },
);
