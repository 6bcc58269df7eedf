/** Every block of code in README.md, CONTRIBUTING.md, docs/ and the examples of lib/ is run, or as much of it as can be. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Block, examples, pageBlocks, pages, place, root } from './blocks';
import {
  EXPECT_PRINTED,
  fileNameOf,
  isScript,
  modeOf,
  programOf,
  syntaxErrors,
  transpile,
  withExpectations,
} from './program';
import { typeErrors } from './types';

const folder = path.join(root, 'build', 'docs-test', 'code');
const onnxruntime = path.join(root, 'build', 'bench-peers', 'node', 'node_modules', 'onnxruntime-node');
const hasOnnxruntime = existsSync(onnxruntime);

beforeAll(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(path.join(folder, 'node_modules'), { recursive: true });
  writeFileSync(path.join(folder, 'expect-printed.mjs'), EXPECT_PRINTED);
  if (hasOnnxruntime) symlinkSync(onnxruntime, path.join(folder, 'node_modules', 'onnxruntime-node'));
});

interface Program {
  name: string;
  /** A file of its own, as the page names it. */
  file?: string;
  text: string;
}

/** A page's programs: one of its blocks in a row, and each block that is a file. */
function programsOf(name: string, blocks: readonly Block[], nested: boolean): Program[] {
  const own = blocks.filter((block) => fileNameOf(block) !== undefined);
  const rest = blocks.filter((block) => !own.includes(block));
  return [
    ...(rest.length === 0 ? [] : [{ name, text: programOf(rest.map(withExpectations), { nested }) }]),
    ...own.map((block) => ({
      name: `${name}, ${fileNameOf(block) ?? ''}`,
      file: fileNameOf(block) ?? '',
      text: withExpectations(block).text,
    })),
  ];
}

const sources: { name: string; blocks: Block[]; nested: boolean }[] = [
  ...pages().map((name) => ({ name, blocks: pageBlocks(name).filter(isScript), nested: true })),
  ...examples().map(([name, blocks]) => ({ name, blocks, nested: false })),
];
const runs = sources.flatMap(({ name, blocks, nested }) =>
  programsOf(
    name,
    blocks.filter((block) => modeOf(block) === 'run'),
    nested,
  ),
);

const pageOf = ({ name }: Program): string => name.split(',')[0] ?? '';

/** Writes a program into the folder of its page. */
function write(program: Program): string {
  const { file = 'page.mjs', text } = program;
  const target = path.join(folder, pageOf(program).replaceAll(/\W/g, '-'), file);
  mkdirSync(path.dirname(target), { recursive: true });
  writeFileSync(target, target.endsWith('.ts') || program.file === undefined ? transpile(text) : text);
  return target;
}

/** Runs a program beside the other files of its page, and throws what it said when it failed. */
function runProgram(program: Program): void {
  for (const other of runs) if (other.file !== undefined && pageOf(other) === pageOf(program)) write(other);
  const target = write(program);
  const args = ['--import', path.join(folder, 'expect-printed.mjs'), target];
  const options = { cwd: path.dirname(target), encoding: 'utf8', timeout: 120_000 } as const;
  const { status, stderr } = spawnSync(process.execPath, args, options);
  if (status !== 0) throw new Error(stderr);
}

describe('runs', () => {
  for (const program of runs) {
    const needsPeer = program.text.includes("from 'onnxruntime-node'");
    const run = needsPeer && !hasOnnxruntime ? test.skip : test;
    run(
      needsPeer ? `${program.name} (with onnxruntime-node)` : program.name,
      () => {
        runProgram(program);
      },
      120_000,
    );
  }
});

/** True if a line of a page is in a block of TypeScript: blocks of JavaScript promise no types. */
function isTyped(blocks: readonly Block[], line: number): boolean {
  const last = (block: Block): number => block.line + block.text.split('\n').length;
  return blocks.some(
    (block) => /^(?:ts|typescript)$/.test(block.language) && block.line <= line && line < last(block),
  );
}

describe('has the types that it says', () => {
  const programs = new Map<string, string>();
  for (const { name, blocks, nested } of sources) {
    const inRow = blocks.filter((block) => modeOf(block) === 'run' && fileNameOf(block) === undefined);
    if (inRow.length > 0) programs.set(name, programOf(inRow, { nested }));
    for (const block of blocks.filter((each) => !inRow.includes(each) && modeOf(each) !== 'syntax'))
      programs.set(place(block), `// ${place(block)}\n${block.text}\nexport {};\n`);
  }
  const blocks = new Map(sources.map((source) => [source.name, source.blocks]));
  const errors = typeErrors(programs);
  test.each([...programs.keys()])('%s', (name) => {
    const found = errors.get(name) ?? [];
    const typed = found.filter(({ file, line }) => isTyped(blocks.get(file) ?? [], line));
    expect(typed.map(({ file, line, message }) => `${file}:${line}: ${message}`)).toEqual([]);
  });
});

test('every block that is only parsed can be parsed', () => {
  const parsed = sources.flatMap(({ blocks }) => blocks).filter((block) => modeOf(block) === 'syntax');
  for (const block of parsed)
    expect({ at: place(block), errors: syntaxErrors(block.text) }).toEqual({ at: place(block), errors: [] });
});
