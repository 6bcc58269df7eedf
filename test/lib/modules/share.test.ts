import { Linear, Module, openShared, Tensor } from '../../../lib';

class Mixed extends Module {
  readonly wide: Linear;
  readonly narrow: Linear;
  /** The dtypes of the layers while they were made. */
  readonly madeWith: string[];

  constructor(isWideFirst = true) {
    super();
    const [a, b] = [new Linear(2, 2, { device: 'cpu' }), new Linear(2, 2, { device: 'cpu' })];
    [this.wide, this.narrow] = isWideFirst ? [a, b] : [b, a];
    this.madeWith = [a.dtype, b.dtype];
  }
}

test.each([true, false])(
  'layers keep their dtypes, though `build` asks for those of layers in another order: %p',
  (isWideFirst) => {
    const model = new Mixed();
    model.wide.to('float64');
    const x = Tensor.ones([1, 2]);
    const opened = openShared<Mixed>(model.share(), () => new Mixed(isWideFirst));
    expect(opened.madeWith).toEqual(['float64', 'float32']);
    expect([opened.wide.dtype, opened.narrow.dtype]).toEqual(['float64', 'float32']);
    expect(opened.wide.forwardSync(x.double()).equals(model.wide.forwardSync(x.double()))).toBe(true);
    expect(opened.narrow.forwardSync(x).equals(model.narrow.forwardSync(x))).toBe(true);
  },
);
