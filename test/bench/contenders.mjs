/**
 * The contenders. `form` is the computation of a contender: `repeated`, the documented computation with x repeated for each token;
 * `unrepeated`, the same numbers without the repetition; `product`, the first matrix product alone, which is the floor. `program` and
 * `peer` say which process of test/bench runs it; `model` is the exported form that onnxruntime-node loads.
 */
const contender = (id, label, form, program, peer, model) => ({ id, label, form, program, peer, model });

export const CONTENDERS = [
  contender('fused', 'tokenlearner', 'unrepeated', 'tokenlearner', 'fused'),
  contender('grouped-conv', 'tokenlearner, grouped-conv', 'repeated', 'tokenlearner', 'grouped-conv'),
  contender('eager', 'PyTorch eager', 'repeated', 'python', 'eager'),
  contender('eager-rewrite', 'PyTorch eager, rewritten', 'unrepeated', 'python', 'eager-rewrite'),
  contender('compile', 'torch.compile', 'repeated', 'python', 'compile'),
  contender('compile-rewrite', 'torch.compile, rewritten', 'unrepeated', 'python', 'compile-rewrite'),
  contender('ort-node', 'onnxruntime-node', 'repeated', 'onnxruntime', 'onnxruntime', 'repeat'),
  contender(
    'ort-node-rewrite',
    'onnxruntime-node, rewritten',
    'unrepeated',
    'onnxruntime',
    'onnxruntime',
    'rewrite',
  ),
  contender('ort-python', 'onnxruntime', 'repeated', 'python', 'onnxruntime-repeat'),
  contender('ort-python-rewrite', 'onnxruntime, rewritten', 'unrepeated', 'python', 'onnxruntime-rewrite'),
  contender('matmul', 'bare product', 'product', 'python', 'matmul'),
];

/** True for this package's own engines. */
export function isOurs({ program }) {
  return program === 'tokenlearner';
}

/** True for other software that computes the same result. */
export function isPeer(contender) {
  return !isOurs(contender) && contender.form !== 'product';
}
