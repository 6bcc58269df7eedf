/** A TokenLearner as an ONNX file with a free batch dimension, in the form without the repetition of x, which onnxruntime runs fastest. */

const VARINT = 0;
const BYTES = 2;
const FLOAT = 1;
const OPSET = 20; // The first with Gelu as one operator.

function varint(value) {
  const bytes = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 0x80);
  } while (rest !== 0n);
  return Buffer.from(bytes);
}

/** A protobuf message of [field, value] pairs: numbers are varints, strings and Buffers have their length before them. */
function message(...fields) {
  return Buffer.concat(
    fields.flatMap(([field, value]) => {
      if (typeof value === 'number') return [varint(field * 8 + VARINT), varint(value)];
      const bytes = Buffer.from(value);
      return [varint(field * 8 + BYTES), varint(bytes.length), bytes];
    }),
  );
}

const DATA_TYPES = new Map([
  [Float32Array, 1],
  [BigInt64Array, 7],
]);

function initializer(name, dims, array) {
  const raw = Buffer.from(array.buffer, array.byteOffset, array.byteLength);
  return message(
    ...dims.map((size) => [1, size]),
    [2, DATA_TYPES.get(array.constructor)],
    [8, name],
    [9, raw],
  );
}

/** Attributes are lists of integers, or one integer. */
function node(operator, inputs, output, attributes = {}) {
  const encoded = Object.entries(attributes).map(([name, value]) =>
    Array.isArray(value)
      ? message([1, name], [20, 7], ...value.map((each) => [8, each]))
      : message([1, name], [20, 2], [3, value]),
  );
  return message(
    ...inputs.map((each) => [1, each]),
    [2, output],
    [4, operator],
    ...encoded.map((each) => [5, each]),
  );
}

function value(name, dims) {
  const shape = message(
    ...dims.map((size) => [1, typeof size === 'string' ? message([2, size]) : message([1, size])]),
  );
  return message([1, name], [2, message([1, message([1, FLOAT], [2, shape])])]);
}

/**
 * The file of a model with two layers, for images of one size: input `x` (batch, C, H, W), output `tokens` (batch, C, G).
 *
 * @param weights - {name: {shape, data}} of the state dict.
 */
export function onnxFile(weights, { dim, numOutputTokens, height, width }) {
  const named = (name, key, shape = weights[key].shape) => initializer(name, shape, weights[key].data);
  const pixels = height * width;
  const graph = message(
    [1, node('Conv', ['x', 'w1', 'b1'], 'h')],
    [1, node('Gelu', ['h'], 'g')],
    [1, node('Conv', ['g', 'w2', 'b2'], 'maps', { group: numOutputTokens })],
    [1, node('Reshape', ['maps', 'flat'], 'rows')],
    [1, node('Transpose', ['rows'], 'columns', { perm: [0, 2, 1] })],
    [1, node('Reshape', ['x', 'flat'], 'image')],
    [1, node('MatMul', ['image', 'columns'], 'sum')],
    [1, node('Mul', ['sum', 'mean'], 'tokens')],
    [2, 'tokenlearner'],
    [5, named('w1', 'net.0.weight')],
    [5, named('b1', 'net.0.bias')],
    [5, named('w2', 'net.2.weight')],
    [5, named('b2', 'net.2.bias')],
    [5, initializer('flat', [3], BigInt64Array.of(0n, 0n, BigInt(pixels)))],
    [5, initializer('mean', [], Float32Array.of(1 / pixels))],
    [11, value('x', ['batch', dim, height, width])],
    [12, value('tokens', ['batch', dim, numOutputTokens])],
  );
  return message([1, 9], [2, 'tokenlearner'], [7, graph], [8, message([1, ''], [2, OPSET])]);
}
