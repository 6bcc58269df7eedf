import type * as api from '../../lib';
import {
  Conv2d,
  Flatten,
  GELU,
  LayerNorm,
  Linear,
  loadCheckpoint,
  loadFlaxMsgpack,
  loadNpy,
  loadNpz,
  loadSafetensors,
  loadWeights,
  MaxPool2d,
  ReLU,
  runtime,
  saveNpy,
  saveNpz,
  saveSafetensors,
  Sequential,
  Tensor,
  TokenLearner,
  TokenFuser,
  TokenLearnerV10,
  TokenLearnerV11,
  learnerFromStateDict,
  visualize,
} from '../../lib';
import { expectReject, expectThrow } from './formats/support';

const stray = { keyz: 1 } as never;
const x = Tensor.ones([2]);
const pixel = { data: Uint8Array.of(1), width: 1, height: 1 };
const relu = new ReLU();
const device = 'cpu';
const fuser = new TokenFuser({ dim: 2, device });
const v10 = new TokenLearnerV10({ dim: 2, device });
const v11 = new TokenLearnerV11({ dim: 2, device });
const learner = new TokenLearner({ dim: 2, device });

/** Every public function that takes options, or looks as if it takes some. */
test.each<[string, () => unknown]>([
  ['new TokenLearner', () => new TokenLearner({ dim: 2, keyz: 1 } as never)],
  ['TokenLearner.fromStateDict', () => TokenLearner.fromStateDict(learner.stateDict(), stray)],
  ['TokenLearner.forwardSync', () => learner.forwardSync(Tensor.ones([2, 1, 1]), stray)],
  ['new TokenLearnerV10', () => new TokenLearnerV10({ dim: 2, keyz: 1 } as never)],
  ['TokenLearnerV10.fromStateDict', () => TokenLearnerV10.fromStateDict(v10.stateDict(), stray)],
  ['TokenLearnerV10.forwardSync', () => v10.forwardSync(Tensor.ones([2, 1, 1]), stray)],
  ['new TokenLearnerV11', () => new TokenLearnerV11({ dim: 2, keyz: 1 } as never)],
  ['TokenLearnerV11.fromStateDict', () => TokenLearnerV11.fromStateDict(v11.stateDict(), stray)],
  ['TokenLearnerV11.forwardSync', () => v11.forwardSync(Tensor.ones([2, 1, 1]), stray)],
  ['new TokenFuser', () => new TokenFuser({ dim: 2, keyz: 1 } as never)],
  ['TokenFuser.fromStateDict', () => TokenFuser.fromStateDict(fuser.stateDict(), stray)],
  ['TokenFuser.forwardSync', () => fuser.forwardSync(Tensor.ones([2, 8]), Tensor.ones([2, 1, 1]), stray)],
  ['learnerFromStateDict', () => learnerFromStateDict(v11.stateDict(), stray)],
  ['loadStateDict', () => learner.loadStateDict(learner.stateDict(), stray)],
  ['new Linear', () => new Linear(1, 1, stray)],
  ['new Conv2d', () => new Conv2d(1, 1, 1, stray)],
  ['new MaxPool2d', () => new MaxPool2d(2, stray)],
  ['new LayerNorm', () => new LayerNorm(2, stray)],
  ['new GELU', () => new GELU(stray)],
  ['new ReLU', () => new ReLU(stray)],
  ['ReLU.forwardSync', () => relu.forwardSync(x, stray)],
  ['Sequential.forwardSync', () => new Sequential(relu).forwardSync(x, stray)],
  ['Flatten.forwardSync', () => new Flatten(0).forwardSync(x, stray)],
  ['Tensor.zeros', () => Tensor.zeros([1], stray)],
  ['Tensor.full', () => Tensor.full([1], 1, stray)],
  ['Tensor.randn', () => Tensor.randn([1], stray)],
  ['Tensor.fromImageSync', () => Tensor.fromImageSync(pixel, stray)],
  ['Tensor.toImage', () => Tensor.ones([1, 1, 1]).toImage(stray)],
  ['Tensor.from', () => Tensor.from([1], [1], stray)],
  [
    'runtime.configure',
    () => {
      runtime.configure(stray);
    },
  ],
])('%s refuses an option that it does not know', (_, call) => {
  expectThrow(call, 'ERR_INVALID_ARG_VALUE', "'keyz'");
});

test.each<[string, () => Promise<unknown>]>([
  ['TokenLearner.forward', () => learner.forward(Tensor.ones([2, 1, 1]), stray)],
  ['TokenLearnerV11.forward', () => v11.forward(Tensor.ones([2, 1, 1]), stray)],
  ['TokenFuser.forward', () => fuser.forward(Tensor.ones([2, 8]), Tensor.ones([2, 1, 1]), stray)],
  ['ReLU.forward', () => relu.forward(x, stray)],
  ['Sequential.forward', () => new Sequential(relu).forward(x, stray)],
  ['Tensor.fromImage', () => Tensor.fromImage(pixel, stray)],
  ['loadWeights', () => loadWeights('none', stray)],
  ['loadSafetensors', () => loadSafetensors('none', stray)],
  ['loadCheckpoint', () => loadCheckpoint('none', stray)],
  ['loadNpy', () => loadNpy('none', stray)],
  ['loadNpz', () => loadNpz('none', stray)],
  ['loadFlaxMsgpack', () => loadFlaxMsgpack('none', stray)],
  ['saveSafetensors', () => saveSafetensors('none', {}, stray)],
  ['saveNpy', () => saveNpy('none', x, stray)],
  ['saveNpz', () => saveNpz('none', {}, stray)],
  ['visualize', () => visualize(learner, Tensor.ones([2, 1, 1]), stray)],
])('%s refuses an option that it does not know', async (_, call) => {
  await expectReject(call(), 'ERR_INVALID_ARG_VALUE', "'keyz'");
});

type Options =
  | api.AllCloseOptions
  | api.AotiLoadOptions
  | api.AotiRunOptions
  | api.AotiSyncOptions
  | api.BatcherCloseOptions
  | api.BatcherForwardOptions
  | api.BatcherOptions
  | api.CheckpointOptions
  | api.Conv2dOptions
  | api.FromImageOptions<'float32'>
  | api.GELUOptions
  | api.LayerNormOptions
  | api.LearnerStateDictOptions
  | api.LinearOptions
  | api.LoadOptions
  | api.LoadStateDictOptions
  | api.LoadWeightsOptions
  | api.MaxPool2dOptions
  | api.NormalizeOptions
  | api.PlacementOptions
  | api.RequestOptions
  | api.RuntimeOptions
  | api.SaveNpzOptions
  | api.SaveSafetensorsOptions
  | api.TensorOptions<'float32'>
  | api.ToImageOptions
  | api.TokenFuserForwardOptions
  | api.TokenFuserOptions
  | api.TokenFuserStateDictOptions
  | api.TokenFuserSyncOptions
  | api.TokenLearnerForwardOptions
  | api.TokenLearnerOptions
  | api.TokenLearnerSyncOptions
  | api.TokenLearnerV10Options
  | api.TokenLearnerV10StateDictOptions
  | api.TokenLearnerV11ForwardOptions
  | api.TokenLearnerV11Options
  | api.TokenLearnerV11StateDictOptions
  | api.TokenLearnerV11SyncOptions
  | api.VisualizeOptions;

/** The names of optional properties that may be left out but not be undefined, under exactOptionalPropertyTypes. */
type Refusing<T> = T extends unknown
  ? {
      [K in keyof T]-?: object extends Pick<T, K> ? (undefined extends Required<T>[K] ? never : K) : never;
    }[keyof T]
  : never;

test('an option that is undefined is the default, in the types too', () => {
  const refusing: Refusing<Options>[] = [];
  // Does not compile where there is such a name.
  expect(refusing satisfies never[]).toEqual([]);
  const made = new TokenLearner({ dim: 2, device, ffMult: undefined, numOutputTokens: undefined });
  expect([made.ffMult, made.numOutputTokens]).toEqual([learner.ffMult, learner.numOutputTokens]);
});
