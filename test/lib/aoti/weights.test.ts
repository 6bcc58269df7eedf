import {
  AotiModel,
  type AnyTensor,
  loadNpz,
  ReLU,
  Sequential,
  type StateDict,
  Tensor,
} from '../../../lib/index';
import { expectEqual, values } from './numbers';
import { describeWithPrograms } from './programs';

const load = (file: string, options = {}) => AotiModel.load(file, { trusted: true, ...options });

describeWithPrograms('the weights of an AotiModel', ['weights', 'blob', 'pickled', 'conv'], (programs) => {
  const dicts = (all: StateDict, which: 'old' | 'new') =>
    Object.fromEntries(
      Object.entries(all)
        .filter(([key]) => key.startsWith(`${which}.`) && !/^new\.(?:in|out)\./.test(key))
        .map(([key, tensor]) => [key.slice(4), tensor]),
    );

  test.each(['weights', 'blob', 'pickled'] as const)(
    '%s: constants, state dict, and other weights',
    async (name) => {
      const { file, values: npz } = programs()[name];
      const [model, all] = [await load(file), await loadNpz(npz)];
      const [old, other] = [dicts(all, 'old'), dicts(all, 'new')];
      const [x] = values(all, '4.in') as [Tensor];
      const [newX] = values(all, 'new.in') as [Tensor];
      expectEqual(await model.forward(x), values(all, '4.out')[0]);
      const names = Object.keys(old).sort();
      expect(
        model
          .constants()
          .map((each) => each.name)
          .sort(),
      ).toEqual(names);
      expect(Object.keys(model.stateDict()).sort()).toEqual(names);
      for (const [key, tensor] of Object.entries(model.stateDict())) expectEqual(tensor, old[key]);

      const before = Array.from({ length: 6 }, () => model.forward(x));
      expect(model.loadStateDict(other)).toEqual({ missingKeys: [], unexpectedKeys: [] });
      const after = Array.from({ length: 6 }, () => model.forward(newX));
      for (const output of await Promise.all(before)) expectEqual(output, values(all, '4.out')[0]);
      for (const output of await Promise.all(after)) expectEqual(output, values(all, 'new.out')[0]);
      for (const [key, tensor] of Object.entries(await model.stateDictAsync()))
        expectEqual(tensor, other[key]);

      model.loadStateDict({ scale: old.scale ?? Tensor.ones([1]) }, { strict: false });
      expectEqual(model.stateDict().scale, old.scale);
      expectEqual(model.stateDict()['layers.0.weight'], other['layers.0.weight']);
      model.loadStateDict(old);
      expectEqual(await model.forward(x), values(all, '4.out')[0]);
    },
  );

  test('in a Sequential the names have its prefix', async () => {
    const { file, values: npz } = programs().weights;
    const [model, all] = [new Sequential(await load(file), new ReLU()), await loadNpz(npz)];
    const other = dicts(all, 'new');
    model.loadStateDict(Object.fromEntries(Object.entries(other).map(([key, value]) => [`0.${key}`, value])));
    const [x] = values(all, 'new.in') as [Tensor];
    expectEqual(await model.forward(x), await new ReLU().forward(values(all, 'new.out')[0] as Tensor));
  });

  test('strict: missing, unexpected and wrong shapes change nothing', async () => {
    const { file, values: npz } = programs().weights;
    const [model, all] = [await load(file), await loadNpz(npz)];
    const [old, other] = [dicts(all, 'old'), dicts(all, 'new')];
    const { scale, ...rest } = other as Record<string, AnyTensor>;
    for (const dict of [rest, { ...other, extra: scale }, { ...other, scale: Tensor.ones([13]) }])
      expect(() => model.loadStateDict(dict as StateDict)).toThrow(
        expect.objectContaining({ code: 'ERR_STATE_DICT' }) as Error,
      );
    expect(() => model.loadStateDict({ ...other, scale: Tensor.ones([12], { dtype: 'int64' }) })).toThrow(
      expect.objectContaining({ code: 'ERR_DTYPE_MISMATCH' }) as Error,
    );
    for (const [key, tensor] of Object.entries(model.stateDict())) expectEqual(tensor, old[key]);
    // Constants of 8 elements or fewer are in the code.
    const conv = await load(programs().conv.file);
    expect(conv.constants().map(({ name }) => name)).not.toContain('head.bias');
    expect(() => conv.loadStateDict({ ...conv.stateDict(), 'head.bias': Tensor.ones([5]) })).toThrow(
      'head.bias',
    );
  });

  test('weights change while runs are under way: each run has the old ones or the new ones', async () => {
    const { file, values: npz } = programs().weights;
    const [model, all] = [await load(file, { instances: 2 }), await loadNpz(npz)];
    const [x] = values(all, '4.in') as [Tensor];
    const expected: AnyTensor[] = [];
    for (const which of ['old', 'new'] as const) {
      model.loadStateDict(dicts(all, which));
      expected.push(await model.forward(x));
    }
    const outputs: Promise<Tensor>[] = [];
    for (let i = 0; i < 50; i++) {
      model.loadStateDict(dicts(all, i % 2 === 0 ? 'old' : 'new'));
      outputs.push(model.forward(x), model.forward(x));
    }
    (await Promise.all(outputs)).forEach((output, i) => {
      expectEqual(output, expected[Math.floor(i / 2) % 2]);
    });
  });
});
