import * as api from '../../lib';

test('the public names', () => {
  expect(Object.keys(api).sort()).toEqual([
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
    'Tensor',
    'TokenLearner',
    'TokenLearnerError',
    'UnaryLeaf',
    'assertAllClose',
    'loadCheckpoint',
    'loadFlaxMsgpack',
    'loadNpy',
    'loadNpz',
    'loadSafetensors',
    'loadWeights',
    'manualSeed',
    'presets',
    'runtime',
    'saveNpy',
    'saveNpz',
    'saveSafetensors',
  ]);
});
