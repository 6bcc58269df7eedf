/**
 * Who is measured. `form` says what a contender computes: `repeated`, the documented computation with x repeated for each token;
 * `unrepeated`, the same numbers without the repetition; `product`, the first matrix product alone, which is the floor.
 */

const OURS = { program: 'tokenlearner', ours: true };
const PYTHON = { program: 'python' };
const NODE_ONNX = { program: 'onnxruntime' };

export const CONTENDERS = [
  { id: 'fused', label: 'tokenlearner', form: 'unrepeated', peer: 'fused', ...OURS },
  {
    id: 'grouped-conv',
    label: 'tokenlearner, grouped-conv',
    form: 'repeated',
    peer: 'grouped-conv',
    ...OURS,
  },
  { id: 'eager', label: 'PyTorch eager', form: 'repeated', peer: 'eager', ...PYTHON },
  { id: 'compile', label: 'torch.compile', form: 'repeated', peer: 'compile', ...PYTHON },
  { id: 'ort-node', label: 'onnxruntime-node', form: 'repeated', peer: 'repeat', ...NODE_ONNX },
  {
    id: 'ort-node-rewrite',
    label: 'onnxruntime-node, rewritten',
    form: 'unrepeated',
    peer: 'rewrite',
    ...NODE_ONNX,
  },
  { id: 'ort-python', label: 'onnxruntime', form: 'repeated', peer: 'onnxruntime-repeat', ...PYTHON },
  {
    id: 'ort-python-rewrite',
    label: 'onnxruntime, rewritten',
    form: 'unrepeated',
    peer: 'onnxruntime-rewrite',
    ...PYTHON,
  },
  { id: 'matmul', label: 'bare product', form: 'product', peer: 'matmul', ...PYTHON },
];

/** Whether it is somebody else's way to the same result. */
export function isPeer({ ours, form }) {
  return !ours && form !== 'product';
}
