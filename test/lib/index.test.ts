import * as api from '../../lib';

test('the public names', () => {
  expect(Object.keys(api).sort()).toEqual([
    'Batcher',
    'Conv2d',
    'Flatten',
    'GELU',
    'LayerNorm',
    'LeafModule',
    'Linear',
    'MaxPool2d',
    'Module',
    'ModuleList',
    'ReLU',
    'Sequential',
    'Shared',
    'Tensor',
    'TokenLearner',
    'TokenLearnerError',
    'UnaryLeaf',
    'assertAllClose',
    'loadCheckpoint',
    'loadNpy',
    'loadSafetensors',
    'loadWeights',
    'manualSeed',
    'openShared',
    'presets',
    'runtime',
    'saveNpy',
    'saveSafetensors',
  ]);
});
