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

/**
 * Contenders with fewer bits, for bfloat16.mjs. `tolerance` is the relative L2 error of the tokens from which on a contender does not
 * compute the same layer: float32's is in session.mjs.
 */
export const NARROW_CONTENDERS = [
  contender('fused-bfloat16', 'tokenlearner, bfloat16', 'unrepeated', 'tokenlearner', 'fused-bfloat16'),
  contender('eager-bfloat16', 'PyTorch eager, bfloat16', 'repeated', 'python', 'eager-bfloat16'),
  contender(
    'eager-rewrite-bfloat16',
    'the same, rewritten',
    'unrepeated',
    'python',
    'eager-rewrite-bfloat16',
  ),
  contender('compile-bfloat16', 'torch.compile, bfloat16', 'repeated', 'python', 'compile-bfloat16'),
  contender(
    'compile-rewrite-bfloat16',
    'the same, rewritten',
    'unrepeated',
    'python',
    'compile-rewrite-bfloat16',
  ),
  contender(
    'ort-rewrite-int8',
    'onnxruntime, rewritten, int8',
    'unrepeated',
    'python',
    'onnxruntime-rewrite-int8',
  ),
].map((each) => ({ ...each, tolerance: 0.1 }));

/** True for this package's own engines. */
export function isOurs({ program }) {
  return program === 'tokenlearner';
}

/** True for other software that computes the same result. */
export function isPeer(contender) {
  return !isOurs(contender) && contender.form !== 'product';
}
