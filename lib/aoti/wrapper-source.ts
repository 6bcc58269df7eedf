/**
 * Reads the signature and the constants from the C++ source that AOTInductor puts beside the library. The text is generated, so each statement has one
 * known form. A text with any other form tells nothing: the result is undefined, never a guess.
 */
import type { AotiConstant, AotiDimension, AotiInput, AotiSignature } from './types';
import { memoryOrder, type Sizes } from './memory-order';

/** What the check function of an input compares. */
interface Checks {
  /** The variable that the source names the input by. */
  variable: string;
  dtype: string;
  sizes: Map<number, number>;
  lower: Map<number, number>;
  upper: Map<number, number>;
  strides: Map<number, number>;
}

const NAME = String.raw`([A-Za-z_]\w*)`;
const NUMBER = String.raw`(\d+)L?`;
const THROWS = String.raw`\{\s*std::stringstream ss;[^{}]*?throw std::runtime_error\(std::move\(ss\)\.str\(\)\);\s*\}`;

function form(text: string): RegExp {
  return new RegExp(String.raw`\s*${text.replaceAll(' ', String.raw`\s*`)}`, 'y');
}

/** A dimension beyond this is no tensor's. */
const MAX_RANK = 64;

type Take = (checks: Checks, match: RegExpExecArray) => boolean;

function into(pick: (checks: Checks) => Map<number, number>, dimension: number, value: number): Take {
  return (checks, match) => {
    const [at, size] = [Number(match[dimension]), Number(match[value])];
    const map = pick(checks);
    if (at >= MAX_RANK || map.has(at)) return false;
    map.set(at, size);
    return true;
  };
}

const nothing: Take = () => true;
/** The statements of a check function. Each names the variable first where it has one, which must be the function's. */
const STATEMENTS: readonly (readonly [RegExp, Take])[] = [
  [form(`int32_t (?<v>\\w+)_dtype ;`), nothing],
  [
    form(`AOTI_TORCH_ERROR_CODE_CHECK \\( aoti_torch_get_dtype \\( (?<v>\\w+) , & \\k<v>_dtype \\) \\) ;`),
    nothing,
  ],
  [
    form(`int32_t (?<v>\\w+)_expected_dtype = aoti_torch_dtype_(?<dtype>\\w+) \\( \\) ;`),
    (checks, { groups }) => {
      if (checks.dtype !== '') return false;
      checks.dtype = groups?.dtype ?? '';
      return true;
    },
  ],
  [form(`if \\( (?<v>\\w+)_expected_dtype != \\k<v>_dtype \\) ${THROWS}`), nothing],
  [form(`auto (?<v>\\w+)_size = \\k<v> \\. sizes \\( \\) ;`), nothing],
  [form(`auto (?<v>\\w+)_stride = \\k<v> \\. strides \\( \\) ;`), nothing],
  [
    form(`if \\( ${NUMBER} != (?<v>\\w+)_size \\[ (\\d+) \\] \\) ${THROWS}`),
    into(({ sizes }) => sizes, 3, 1),
  ],
  [form(`if \\( (?<v>\\w+)_size \\[ (\\d+) \\] < ${NUMBER} \\) ${THROWS}`), into(({ lower }) => lower, 2, 3)],
  [form(`if \\( (?<v>\\w+)_size \\[ (\\d+) \\] > ${NUMBER} \\) ${THROWS}`), into(({ upper }) => upper, 2, 3)],
  [
    form(`if \\( ${NUMBER} != (?<v>\\w+)_stride \\[ (\\d+) \\] \\) ${THROWS}`),
    into(({ strides }) => strides, 3, 1),
  ],
  [form(`int32_t (?<v>\\w+)_device_type ;`), nothing],
  [
    form(
      `AOTI_TORCH_ERROR_CODE_CHECK \\( aoti_torch_get_device_type \\( (?<v>\\w+) , & \\k<v>_device_type \\) \\) ;`,
    ),
    nothing,
  ],
  [form(`int32_t (?<v>\\w+)_expected_device_type = \\d+ ;`), nothing],
  [form(`if \\( (?<v>\\w+)_expected_device_type != \\k<v>_device_type \\) ${THROWS}`), nothing],
];
const HANDLE = form(`ConstantHandle ${NAME} = ConstantHandle \\( input_handles \\[ (\\d+) \\] \\) ;`);
const END = form(`\\} `);

/** Applies a form at a position. */
function at(pattern: RegExp, text: string, position: number): RegExpExecArray | null {
  pattern.lastIndex = position;
  return pattern.exec(text);
}

/** Reads the body of check_input_N from a position on. */
function readChecks(text: string, start: number, index: number): Checks | undefined {
  const handle = at(HANDLE, text, start);
  const variable = handle?.[1];
  if (variable === undefined || Number(handle?.[2]) !== index) return undefined;
  const checks: Checks = {
    variable,
    dtype: '',
    sizes: new Map(),
    lower: new Map(),
    upper: new Map(),
    strides: new Map(),
  };
  let position = HANDLE.lastIndex;
  for (;;) {
    if (at(END, text, position) !== null) return checks.dtype === '' ? undefined : checks;
    let next = -1;
    for (const [pattern, take] of STATEMENTS) {
      const match = at(pattern, text, position);
      if (match === null) continue;
      if (match.groups?.v !== variable || !take(checks, match)) return undefined;
      next = pattern.lastIndex;
      break;
    }
    if (next < 0) return undefined;
    position = next;
  }
}

/** A fixed size, or the range that a check function compares with. */
type Checked = number | { min: number | undefined; max: number | undefined };

/** The dimensions that the checks tell. */
function dimensionsOf({ sizes, lower, upper, strides }: Checks): Checked[] | undefined {
  const known = [sizes, lower, upper, strides].flatMap((map) => [...map.keys()]);
  const rank = known.length === 0 ? 0 : Math.max(...known) + 1;
  const shape: Checked[] = [];
  for (let i = 0; i < rank; i += 1) {
    const size = sizes.get(i);
    const [min, max] = [lower.get(i), upper.get(i)];
    if (size === undefined && min === undefined && max === undefined) return undefined;
    if (size !== undefined && (min !== undefined || max !== undefined || !Number.isSafeInteger(size)))
      return undefined;
    shape.push(size ?? { min, max });
  }
  return shape;
}

/**
 * The range of a dynamic dimension. That of the check function is none: besides what the export declared it has what the compiler assumed, such as
 * at most 15 images for a convolution that was traced with 2. PyTorch does not compare it either. The size 0 alone is left out.
 */
const ANY = { min: 1, max: undefined };

/** What the source says about an input elsewhere: each size as an expression of symbols, such as 's17' or '4L'. */
function assertedSizes(
  text: string,
  variable: string,
): { sizes: string[]; strides: string[] } | undefined | null {
  const pattern = new RegExp(String.raw`assert_size_stride\(${variable}, \{([^{}]*)\}, \{([^{}]*)\}`, 'g');
  const found = [...text.matchAll(pattern)];
  const [first] = found;
  if (first === undefined) return null;
  if (found.some((each) => each[1] !== first[1] || each[2] !== first[2])) return undefined;
  const list = (part: string | undefined) =>
    (part ?? '')
      .split(',')
      .map((each) => each.trim())
      .filter((each) => each !== '');
  return { sizes: list(first[1]), strides: list(first[2]) };
}

/** The symbol that the source reads from each dimension: `int64_t s17 = arg_size[0];`. */
function declaredSymbols(text: string, variables: readonly string[]): Map<string, string> {
  const symbols = new Map<string, string>();
  for (const [, symbol = '', variable = '', dimension = ''] of text.matchAll(
    /\bint64_t (s\d+) = (\w+)_size\[(\d+)\];/g,
  ))
    if (variables.includes(variable)) symbols.set(`${variable}.${dimension}`, symbol);
  return symbols;
}

/** Symbols that stand for others: `int64_t s77 = s17;`. */
function aliasesOf(text: string): Map<string, string> {
  return new Map(
    [...text.matchAll(/\bint64_t (s\d+) = (s\d+);/g)].map(([, alias = '', of = '']) => [alias, of]),
  );
}

interface Naming {
  symbols: Map<string, string>;
  aliases: Map<string, string>;
  text: string;
}

type Range = Exclude<Checked, number>;

function sameRange(a: Range, b: Range): boolean {
  return a.min === b.min && a.max === b.max;
}

/**
 * Names the dynamic dimensions of one input by their symbols. The size of a dimension whose symbol no line tells depends on the others: where there
 * is one symbol and the range is its range, it is that symbol. Otherwise the result is undefined.
 */
function nameDimensions(
  checks: Checks,
  shape: readonly Checked[],
  naming: Naming,
  only: { symbol: string; range: Range } | undefined,
): { shape: AotiDimension[]; sizes: Sizes } | undefined {
  const asserted = assertedSizes(naming.text, checks.variable);
  if (asserted === undefined || (asserted !== null && asserted.sizes.length !== shape.length))
    return undefined;
  const named: AotiDimension[] = [];
  const sizes: string[] = [];
  for (const [i, dimension] of shape.entries()) {
    const expression = asserted?.sizes[i];
    if (typeof dimension === 'number') {
      if (expression !== undefined && expression !== `${dimension}L`) return undefined;
      named.push(dimension);
      sizes.push(`${dimension}L`);
      continue;
    }
    const symbol = expression ?? naming.symbols.get(`${checks.variable}.${i}`);
    const chosen =
      symbol ?? (only !== undefined && sameRange(only.range, dimension) ? only.symbol : undefined);
    if (chosen === undefined) return undefined;
    const name = /^s\d+$/.test(chosen) ? (naming.aliases.get(chosen) ?? chosen) : undefined;
    // A size that is computed from others, such as 2*s0, would need more than a range to check.
    if (name === undefined) return undefined;
    named.push({ name, ...ANY });
    sizes.push(name);
  }
  return { shape: named, sizes: { sizes, strides: asserted?.strides } };
}

/** The only symbol of the source, with its range; undefined if there are several. */
function onlySymbol(
  inputs: readonly { checks: Checks; shape: Checked[] }[],
  symbols: ReadonlyMap<string, string>,
): { symbol: string; range: Range } | undefined {
  const [entry, ...others] = symbols;
  if (entry === undefined || others.length > 0) return undefined;
  const [place, symbol] = entry;
  for (const { checks, shape } of inputs)
    for (const [i, dimension] of shape.entries())
      if (place === `${checks.variable}.${i}` && typeof dimension !== 'number')
        return { symbol, range: dimension };
  return undefined;
}

/** Reads the inputs from the source's check functions. Undefined if the source has another form than those that are known. */
export function signatureFromWrapper(text: string): AotiSignature | undefined {
  const heads = [
    ...text.matchAll(/\bstatic void check_input_(\d+)\(\s*AtenTensorHandle\* input_handles\s*\)\s*\{/g),
  ];
  const count = /\bsteal_from_raw_handles_to_raii_handles\(input_handles, (\d+)\)/.exec(text)?.[1];
  if (count === undefined || Number(count) !== heads.length) return undefined;
  const inputs: { checks: Checks; shape: Checked[] }[] = [];
  for (const [index, head] of heads.entries()) {
    if (Number(head[1]) !== index) return undefined;
    const checks = readChecks(text, head.index + head[0].length, index);
    const shape = checks && dimensionsOf(checks);
    if (shape === undefined || checks === undefined) return undefined;
    inputs.push({ checks, shape });
  }
  const variables = inputs.map(({ checks }) => checks.variable);
  const naming = { text, symbols: declaredSymbols(text, variables), aliases: aliasesOf(text) };
  const only = onlySymbol(inputs, naming.symbols);
  const result: AotiInput[] = [];
  for (const [index, { checks, shape }] of inputs.entries()) {
    const named = nameDimensions(checks, shape, naming, only);
    const order = named && memoryOrder(named.sizes, checks.strides);
    if (named === undefined || order === undefined) return undefined;
    result.push({
      name: `input_${index}`,
      dtype: checks.dtype,
      shape: named.shape,
      ...(order.some((dimension, i) => dimension !== i) ? { order } : {}),
    });
  }
  return { inputs: result, source: 'wrapper' };
}

/** The constants that the source lists, in its order; undefined if it lists none in a known form. */
export function constantsFromWrapper(text: string): AotiConstant[] | undefined {
  const count = /AOTInductorModelBase\(\s*\d+,\s*\d+,\s*(\d+),/.exec(text)?.[1];
  if (count === undefined) return undefined;
  const pattern =
    /constants_info_\[(\d+)\]\.(dtype|shape|original_fqn) = (?:cached_torch_dtype_(\w+)|static_cast<int32_t>\(cached_torch_dtype_(\w+)\)|\{([\d, L]*)\}|"([^"\\]*)");/g;
  const found = new Map<number, { name?: string; dtype?: string; shape?: number[] }>();
  for (const [, index, field, dtype, cast, shape, name] of text.matchAll(pattern)) {
    const entry = found.get(Number(index)) ?? {};
    if (field === 'dtype') entry.dtype = dtype ?? cast ?? '';
    if (field === 'shape') entry.shape = shape?.match(/\d+/g)?.map(Number) ?? [];
    if (field === 'original_fqn') entry.name = name ?? '';
    found.set(Number(index), entry);
  }
  const constants: AotiConstant[] = [];
  for (let i = 0; i < Number(count) && i <= found.size; i += 1) {
    const { name, dtype, shape } = found.get(i) ?? {};
    if (name === undefined || dtype === undefined || shape === undefined) return undefined;
    constants.push({ name, dtype, shape });
  }
  return constants;
}

/** The compiler's options that name instruction sets, such as 'avx512bf16', from the command that the source ends with. */
export function compilerFlags(text: string): string[] {
  const command = /^\/\/ Compile cmd\n\/\/ (.*)$/m.exec(text)?.[1] ?? '';
  return [...command.matchAll(/\s-m((?:avx|amx|fma|f16c|sve)[\w-]*)(?=\s|$)/g)].map(([, flag = '']) => flag);
}
