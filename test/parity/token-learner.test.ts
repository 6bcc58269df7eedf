import { build, cases } from './cases';
import { expectFixture, expectSameBits } from './matchers';

const ENGINES = ['auto', 'fused', 'grouped-conv'] as const;

describe.each(ENGINES)('engine %s', (engine) => {
  test.each(cases)('$name: tokens and maps within the rule', async (item) => {
    const { model, x } = build(engine, item);
    const { tokens, attention } = await model.forward(x, { returnAttention: true });
    await expectFixture(`parity/${item.name}.safetensors`, { tokens, attention });
  });

  test.each(cases)('$name: the same bits however it is asked for', async (item) => {
    const { model, x } = build(engine, item);
    const { tokens, attention } = await model.forward(x, { returnAttention: true });
    expectSameBits(await model.forward(x), tokens);
    expectSameBits(model.forwardSync(x), tokens);
    expectSameBits(model.forwardSync(x.contiguous()), tokens);
    expectSameBits(model.forwardSync(x, { returnAttention: true }).attention, attention);
    const last = x.shape.map((_, axis) => axis).slice(0, -3);
    const tokensFirst = model.forwardSync(x, { layout: 'tokens-first' });
    expectSameBits(tokensFirst.permute([...last, x.ndim - 2, x.ndim - 3]).contiguous(), tokens);
  });
});
