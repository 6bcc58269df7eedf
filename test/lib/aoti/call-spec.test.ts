import { flatten, leafCount, leafNames, parseCallSpec, unflatten } from '../../../lib/aoti/call-spec';

const leaf = { type: null, context: null, children_spec: [] };
const node = (type: string, children: unknown[], context: unknown = 'null') => ({
  type,
  context,
  children_spec: children,
});
const dict = (children: Record<string, unknown>) =>
  node('builtins.dict', Object.values(children), JSON.stringify(Object.keys(children)));
const spec = (tree: unknown) => JSON.stringify([1, tree]);
const inputs = (args: unknown[] = [leaf], kwargs: unknown = dict({})) =>
  spec(node('builtins.tuple', [node('builtins.tuple', args), kwargs]));

test('tuples, lists and dicts become arrays and objects, and back', () => {
  const { output, args, kwargs } = parseCallSpec(
    inputs([leaf, node('builtins.list', [leaf, leaf])], dict({ mask: leaf })),
    spec(node('collections.OrderedDict', [leaf, node('builtins.tuple', [leaf])], '["b", "a"]')),
  );
  expect([args.map(leafCount), leafCount(kwargs), leafCount(output)]).toEqual([[1, 2], 1, 2]);
  expect(leafNames(output)).toEqual(['b', 'a_0']);
  expect(flatten(output, 'result', { a: [2], b: 1 })).toEqual([1, 2]);
  let next = 0;
  expect(unflatten(output, () => ++next)).toEqual({ b: 1, a: [2] });
  expect(leafNames(parseCallSpec(inputs(), spec(leaf)).output)).toEqual(['output']);
  expect(leafNames(parseCallSpec(inputs(), spec(node('builtins.tuple', [leaf, leaf]))).output)).toEqual([
    'output_0',
    'output_1',
  ]);
});

test('a key may be __proto__, and no key comes from a prototype', () => {
  const { output } = parseCallSpec(
    inputs(),
    spec(node('builtins.dict', [leaf, leaf], '["__proto__", "toString"]')),
  );
  const made = unflatten(output, () => 1) as object;
  expect(Object.keys(made)).toEqual(['__proto__', 'toString']);
  expect(Object.getPrototypeOf(made)).toBe(Object.prototype);
  expect(flatten(output, 'x', made)).toEqual([1, 1]);
  expect(() => flatten(output, 'x', {})).toThrow("'__proto__' is missing");
});

test.each([
  ['no JSON', '{'],
  ['another version', JSON.stringify([2, leaf])],
  ['no list', JSON.stringify({})],
  ['a namedtuple', spec(node('collections.namedtuple', [leaf], '{"class_name": "Point"}'))],
  ['a custom node', spec(node('transformers.ModelOutput', [leaf]))],
  ['a dict with numbers as keys', spec(node('builtins.dict', [leaf], '[1]'))],
  ['a dict with a key twice', spec(node('builtins.dict', [leaf, leaf], '["a", "a"]'))],
  ['a dict with more keys than values', spec(node('builtins.dict', [leaf], '["a", "b"]'))],
  ['a dict without keys', spec(node('builtins.dict', [leaf], null))],
  ['no children', spec({ type: 'builtins.list', context: null })],
  [
    'a very deep tree',
    spec(Array.from({ length: 70 }).reduce((tree) => node('builtins.list', [tree]), leaf)),
  ],
])('%s is refused', (_, out) => {
  expect(() => parseCallSpec(inputs(), out)).toThrow(
    expect.objectContaining({ code: 'ERR_AOTI_PACKAGE' }) as Error,
  );
});

test('the type that is refused is named; inputs are args and kwargs', () => {
  expect(() => parseCallSpec(inputs(), spec(node('a.Point', [leaf])))).toThrow('a.Point');
  expect(() => parseCallSpec(spec(leaf), spec(leaf))).toThrow('args and kwargs');
  expect(() => parseCallSpec(spec(node('builtins.tuple', [dict({}), dict({})])), spec(leaf))).toThrow(
    'args and kwargs',
  );
});

test('values of another structure', () => {
  const { args } = parseCallSpec(inputs([node('builtins.tuple', [leaf, leaf])]), spec(leaf));
  const [tree] = args;
  if (tree === undefined) throw new Error('no tree');
  expect(() => flatten(tree, 'inputs[0]', [1])).toThrow('Expected 2 elements for `inputs[0]` but received 1');
  expect(() => flatten(tree, 'inputs[0]', { 0: 1, 1: 2 })).toThrow('Expected an array');
  const record = parseCallSpec(inputs([dict({ a: leaf })]), spec(leaf)).args[0];
  if (record === undefined) throw new Error('no tree');
  expect(() => flatten(record, 'x', { a: 1, b: 2 })).toThrow("received 'b'");
  expect(() => flatten(record, 'x', [1])).toThrow('a plain object');
});
