import { type FloatDType, Linear, ReLU, runtime, Sequential, Tensor, TokenLearner } from '../../../lib';
import { expectReject, expectThrow } from '../formats/support';
import { methodOf } from '../support';
import { values, x } from './support';

const device = 'cpu';

/** Twice a tensor of float32. */
function twice<D extends FloatDType>(tensor: Tensor<D>): Tensor<D> {
  return Tensor.from((tensor.data as Float32Array).map((value) => 2 * value)) as unknown as Tensor<D>;
}

describe('a subclass of a module of this package', () => {
  class Doubled extends Linear {
    override async forward<D extends FloatDType>(input: Tensor<D>): Promise<Tensor<D>> {
      const output = await super.forward(input);
      return twice(output);
    }
    override forwardSync<D extends FloatDType>(input: Tensor<D>): Tensor<D> {
      return twice(super.forwardSync(input));
    }
  }

  test('has its forward called, also in a Sequential', async () => {
    const doubled = new Doubled(2, 2, { bias: false, device });
    doubled.loadStateDict({ weight: Tensor.from([3, 0, 0, 3], [2, 2]) });
    const model = new Sequential(new ReLU(), doubled);
    expect(values(await doubled.forward(x()))).toEqual([6, 6]);
    expect(values(await model.forward(x()))).toEqual([6, 6]);
    expect(values(model.forwardSync(x()))).toEqual([6, 6]);
    expect(Object.keys(model.stateDict())).toEqual(['1.weight']);
    expect(String(doubled)).toBe('Doubled(in_features=2, out_features=2, bias=False)');
  });

  test('without a forward of its own runs natively', async () => {
    class Named extends Linear {}
    const [named, relu] = [new Named(2, 2, { device }), new ReLU()];
    const before = runtime.memory().liveLayers;
    const model = new Sequential(named, relu);
    // One graph.
    expect(runtime.memory().liveLayers).toBe(before + 1);
    expect((await model.forward(x())).shape).toEqual([2]);
  });

  test('with only one of the two methods refuses the other', async () => {
    class OnlyForward extends ReLU {
      override async forward<D extends FloatDType>(input: Tensor<D>): Promise<Tensor<D>> {
        return super.forward(input);
      }
    }
    class OnlySync extends ReLU {
      override forwardSync<D extends FloatDType>(input: Tensor<D>): Tensor<D> {
        return super.forwardSync(input);
      }
    }
    const [one, other] = [new Sequential(new OnlyForward()), new Sequential(new OnlySync())];
    expect(values(await one.forward(x(-1)))).toEqual([0, 0]);
    expectThrow(
      () => one.forwardSync(x()),
      'ERR_NOT_IMPLEMENTED',
      'OnlyForward has a forward of its own but no forwardSync: override forwardSync to use it',
    );
    expect(values(other.forwardSync(x(-1)))).toEqual([0, 0]);
    await expectReject(other.forward(x()), 'ERR_NOT_IMPLEMENTED', 'OnlySync has a forwardSync of its own');
  });

  test('has its own children and parameters', () => {
    class WithHead extends TokenLearner {
      readonly head = new Linear(2, 1, { device });
    }
    const model = new WithHead({ dim: 2, ffMult: 1, numOutputTokens: 1, numLayers: 1, device });
    expect(Object.keys(model.stateDict())).toEqual([
      'net.0.weight',
      'net.0.bias',
      'head.weight',
      'head.bias',
    ]);
    expect(String(model)).toBe(
      `WithHead(
  (net): Sequential(
    (0): Conv2d(2, 1, kernel_size=(1, 1), stride=(1, 1))
  )
  (head): Linear(in_features=2, out_features=1, bias=True)
)`,
    );
    class Gated extends Linear {
      readonly gate = new ReLU();
    }
    expect(String(new Gated(1, 2, { device }))).toBe(
      'Gated(\n  in_features=1, out_features=2, bias=True\n  (gate): ReLU()\n)',
    );
    const { head } = model;
    model.dispose();
    expect(head.disposed).toBe(true);
  });

  test('its own outputShape does not stand in the way of super.forward', async () => {
    class Pooled extends Linear {
      override async forward<D extends FloatDType>(input: Tensor<D>): Promise<Tensor<D>> {
        return super.forward(input.reshape([2]));
      }
      override outputShape(): number[] {
        throw new Error('of the whole module only');
      }
    }
    const model = new Sequential(new Pooled(2, 3, { device }));
    expect((await model.forward(Tensor.ones([2, 1]))).shape).toEqual([3]);
  });
});

describe('fromStateDict', () => {
  test('of a subclass creates one of it', () => {
    class Own extends TokenLearner {}
    const model = new TokenLearner({ dim: 2, device });
    const own = Own.fromStateDict(model.stateDict(), { device });
    expect(own).toBeInstanceOf(Own);
    expect(own.dim).toBe(2);
  });

  test('without its class is refused', () => {
    for (const fake of [undefined, null, {}, Linear]) {
      const call = (): unknown => methodOf(TokenLearner, 'fromStateDict').call(fake, {});
      expectThrow(call, 'ERR_INVALID_THIS', 'to be TokenLearner or a subclass');
    }
  });
});
