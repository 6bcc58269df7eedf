/** The code of the documentation: the fenced blocks of README.md and docs/, and the examples in the comments of lib/. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const root = path.resolve(__dirname, '..', '..');

export interface Block {
  /** Below the checkout. */
  file: string;
  /** The line of the first line of code, from 1. */
  line: number;
  /** The fence's first word: ts, js, sh, python, ... */
  language: string;
  /** '', or a mark such as 'check: starts a server', from the rest of the fence or from a comment before it. */
  mark: string;
  text: string;
}

const FENCE =
  /^(?<indent> *)(?:<!-- (?<before>(?:check|syntax): .*) -->\n+\k<indent>)?```(?<language>\w*) *(?<mark>[^\n]*)\n(?<text>[\s\S]*?)^\k<indent>```$/gm;
const SETUP = /^<!-- setup(?<language> python)?\n(?<text>[\s\S]*?)^-->$/gm;

const lineAt = (text: string, index: number): number => text.slice(0, index).split('\n').length;

/**
 * The blocks of a text in order. A comment `<!-- setup ... -->` is a block of TypeScript too, and `<!-- setup python ... -->` of Python; readers do
 * not see them.
 */
export function blocksOf(file: string, text: string): Block[] {
  const fences = [...text.matchAll(FENCE)].map((match) => {
    const { language = '', before = '', mark = '', text: code = '', indent = '' } = match.groups ?? {};
    const inner = code.replaceAll(new RegExp(`^${indent}`, 'gm'), '');
    const line = lineAt(text, match.index + match[0].indexOf('```')) + 1;
    return { file, line, language, mark: mark.trim() || before, text: inner };
  });
  const setups = [...text.matchAll(SETUP)].map((match) => ({
    file,
    line: lineAt(text, match.index) + 1,
    language: match.groups?.language?.trim() ?? 'ts',
    mark: '',
    text: match.groups?.text ?? '',
  }));
  return [...fences, ...setups].sort((a, b) => a.line - b.line);
}

/** README.md, CONTRIBUTING.md and the pages of docs/, below the checkout. */
export function pages(): string[] {
  const docs = readdirSync(path.join(root, 'docs')).filter((name) => name.endsWith('.md'));
  return ['README.md', 'CONTRIBUTING.md', ...docs.sort().map((name) => `docs/${name}`)];
}

export const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

export const pageBlocks = (file: string): Block[] => blocksOf(file, read(file));

/** The sources of lib/ that have examples, with the blocks of those. */
export function examples(): [string, Block[]][] {
  const names = readdirSync(path.join(root, 'lib'), { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => name.endsWith('.ts')).sort();
  return files.flatMap((name): [string, Block[]][] => {
    const file = path.posix.join('lib', name.replaceAll(path.sep, '/'));
    const blocks = exampleBlocks(file, read(file));
    return blocks.length === 0 ? [] : [[file, blocks]];
  });
}

/** The blocks below `@example` in a source's comments. */
export function exampleBlocks(file: string, source: string): Block[] {
  return [...source.matchAll(/\/\*\*[\s\S]*?\*\//g)].flatMap((comment) => {
    const text = comment[0].replaceAll(/^ *\* ?/gm, '');
    const at = text.indexOf('@example');
    if (at < 0) return [];
    const before = lineAt(source, comment.index) - 1;
    const found = blocksOf(file, text).filter((block) => block.line > lineAt(text, at));
    if (found.length === 0)
      throw new Error(`${file}:${before + lineAt(text, at)}: @example without a fenced block`);
    return found.map((block) => ({ ...block, line: block.line + before }));
  });
}

export const place = ({ file, line }: Block): string => `${file}:${line}`;
