import fc from 'fast-check';
import { compilerFlags, constantsFromWrapper, signatureFromWrapper } from '../../../lib/aoti/wrapper-source';
import { type WrapperInput, wrapperSource } from './support';

const any = (name: string) => ({ name, min: 1, max: undefined });
const read = (...inputs: WrapperInput[]) => signatureFromWrapper(wrapperSource(inputs));

describe('signatureFromWrapper', () => {
  it('reads dtypes, fixed sizes and dynamic dimensions', () => {
    expect(
      read({ shape: ['s0', 3, 16, 16] }, { dtype: 'int64', shape: ['s0', 7] }, { dtype: 'bool', shape: [] }),
    ).toEqual({
      source: 'wrapper',
      inputs: [
        { name: 'input_0', dtype: 'float32', shape: [any('s0'), 3, 16, 16] },
        { name: 'input_1', dtype: 'int64', shape: [any('s0'), 7] },
        { name: 'input_2', dtype: 'bool', shape: [] },
      ],
    });
  });

  it('takes the bounds for none: the compiler narrows those of the export', () => {
    expect(read({ shape: ['s0', 3], bounds: [2, 15] })?.inputs[0]?.shape).toEqual([any('s0'), 3]);
    expect(read({ shape: ['s0', 3], bounds: [16, undefined] })?.inputs[0]?.shape).toEqual([any('s0'), 3]);
  });

  it('tells equal sizes of different inputs by their symbols', () => {
    const shapes = read({ shape: ['s0', 's1', 4] }, { shape: ['s1', 's0'] })?.inputs.map(
      ({ shape }) => shape,
    );
    expect(shapes).toEqual([
      [any('s0'), any('s1'), 4],
      [any('s1'), any('s0')],
    ]);
  });

  it('knows the only symbol also where no line asserts it, and no other', () => {
    const plain = { asserted: false };
    expect(read({ shape: ['s0', 4], ...plain }, { shape: ['s0', 6], ...plain })?.inputs[1]?.shape).toEqual([
      any('s0'),
      6,
    ]);
    expect(
      read({ shape: ['s0', 4], ...plain }, { shape: ['s0', 6], ...plain, bounds: [4, 2048] }),
    ).toBeUndefined();
    const two = { shape: ['s0', 's1'], ...plain } as const;
    expect(read(two, { shape: ['s0', 6], ...plain })).toBeUndefined();
  });

  it('reads the order in memory', () => {
    const order = (input: WrapperInput) => {
      const signature = read(input);
      return signature && (signature.inputs[0]?.order ?? 'rows');
    };
    expect(order({ shape: ['s0', 3, 8, 8] })).toBe('rows');
    expect(order({ shape: ['s0', 3, 8, 8], strides: [192, 1, 24, 3] })).toEqual([0, 2, 3, 1]);
    expect(order({ shape: ['s0', 3, 's1', 's2'], strides: ['3L*s1*s2', 1, '3L*s2', 3] })).toEqual([
      0, 2, 3, 1,
    ]);
    expect(order({ shape: [4, 6], strides: [1, 4] })).toEqual([1, 0]);
    expect(order({ shape: [2, 3, 4], strides: [4, 8, 1] })).toEqual([1, 0, 2]);
    expect(order({ shape: [1, 4], strides: [999, 1] })).toBe('rows');
  });

  it('says nothing about memory that is not dense', () => {
    expect(read({ shape: [4, 6], strides: [12, 1] })).toBeUndefined();
    expect(read({ shape: [4, 6], strides: [0, 1] })).toBeUndefined();
    expect(read({ shape: ['s0', 's1'], strides: ['8L*s1', 1] })).toBeUndefined();
  });

  it('says nothing about a size that is computed from another', () => {
    expect(read({ shape: ['s0', 4] }, { shape: ['2L*s0', 4] })).toBeUndefined();
  });

  const sound = wrapperSource([{ shape: ['s0', 4] }, { dtype: 'int64', shape: ['s0'] }]);
  it.each([
    [
      'another statement',
      sound.replace('int32_t arg0_1_device_type;', 'int32_t arg0_1_device_type;\n    check(arg0_1);'),
    ],
    ['another comparison', sound.replace('if (4 != arg0_1_size[1])', 'if (4 <= arg0_1_size[1])')],
    ['an expression', sound.replace('if (4 != arg0_1_size[1])', 'if (2*2 != arg0_1_size[1])')],
    ['a check that is missing', sound.replace('check_input_1(', 'check_input_2(')],
    ['another count of inputs', sound.replace('(input_handles, 2)', '(input_handles, 3)')],
    ['no count of inputs', sound.replace('steal_from_raw', 'take_from_raw')],
    ['another variable', sound.replace('if (4 != arg0_1_size[1])', 'if (4 != arg1_1_size[1])')],
    ['a size compared twice', sound.replace('if (4 != arg0_1_size[1])', 'if (4 != arg0_1_size[0])')],
    ['another index', sound.replace('ConstantHandle(input_handles[1])', 'ConstantHandle(input_handles[0])')],
    ['an assertion of another rank', sound.replace('{s0, 4L}', '{s0, 4L, 1L}')],
    ['an assertion of another size', sound.replace('{s0, 4L}', '{s0, 5L}')],
    ['an end that is missing', sound.slice(0, 300)],
    ['nothing', ''],
  ])('says nothing about a source with %s', (_, text) => {
    expect(text).not.toBe(sound);
    expect(signatureFromWrapper(text)).toBeUndefined();
  });

  it('never throws, and never takes a changed source for another program', () => {
    fc.assert(
      fc.property(fc.nat(sound.length), fc.nat(40), fc.string({ maxLength: 12 }), (at, count, text) => {
        const changed = sound.slice(0, at) + text + sound.slice(at + count);
        const found = signatureFromWrapper(changed);
        if (found !== undefined) expect(found.inputs).toHaveLength(2);
      }),
      { numRuns: 3000 },
    );
  });

  it('takes a time in proportion to the text', () => {
    // Quadratic work on a megabyte would be hours: the test would not end.
    signatureFromWrapper(
      `static void check_input_0(AtenTensorHandle* input_handles) {${' '.repeat(2 ** 20)}${sound}`,
    );
    signatureFromWrapper(sound + 'int64_t s1 = '.repeat(2 ** 17));
    expect(signatureFromWrapper(sound + 'assert_size_stride(arg0_1, {'.repeat(2 ** 16))).toBeDefined();
  });
});

test('constantsFromWrapper reads names, dtypes and shapes, or nothing', () => {
  const text = `AOTInductorModelBase(1,
                           1,
                           2,
    constants_info_[0].name = "l_weight";
    constants_info_[0].dtype = cached_torch_dtype_float32;
    constants_info_[0].shape = {6, 4};
    constants_info_[0].original_fqn = "l.weight";
    constants_info_[1].dtype = static_cast<int32_t>(cached_torch_dtype_bfloat16);
    constants_info_[1].shape = {};
    constants_info_[1].original_fqn = "scale";`;
  expect(constantsFromWrapper(text)).toEqual([
    { name: 'l.weight', dtype: 'float32', shape: [6, 4] },
    { name: 'scale', dtype: 'bfloat16', shape: [] },
  ]);
  expect(constantsFromWrapper(text.replace('[1].shape', '[1].form'))).toBeUndefined();
  expect(constantsFromWrapper('')).toBeUndefined();
});

test('compilerFlags reads the instruction sets of the command', () => {
  const text =
    '// Compile cmd\n// g++ x.cpp -O1 -march=native -mavx512f -mamx-tile -mfma -mtune=generic -o x.o\n';
  expect(compilerFlags(text)).toEqual(['avx512f', 'amx-tile', 'fma']);
  expect(compilerFlags('g++ -mavx512f')).toEqual([]);
});
