/** Blocks of code as programs that can be checked and run. */
import ts from 'typescript';
import { type Block, place } from './blocks';

/** The name in a block's first line, such as `// first.mjs`: the block is that file. */
export const fileNameOf = ({ text }: Block): string | undefined =>
  /^\/\/ ([\w./-]+\.(?:mjs|cjs|js|ts))\n/.exec(text)?.[1];

export const isScript = ({ language }: Block): boolean =>
  ['ts', 'js', 'typescript', 'javascript'].includes(language);

/** 'run' without a mark; 'check' is only checked against the types, 'syntax' only parsed. The mark gives the reason after a colon. */
export function modeOf(block: Block): 'run' | 'check' | 'syntax' {
  if (block.mark === '') return 'run';
  const mode = /^(check|syntax): \S/.exec(block.mark)?.[1];
  if (mode !== 'check' && mode !== 'syntax')
    throw new Error(
      `${place(block)}: expected "check: reason" or "syntax: reason" after the language, not "${block.mark}"`,
    );
  return mode;
}

/** The imports of a block, and the rest with the imports blanked out, so that lines keep their numbers. */
function split(block: Block): { imports: string[]; rest: string } {
  const source = ts.createSourceFile('block.ts', block.text, ts.ScriptTarget.Latest, true);
  const found = source.statements.filter(ts.isImportDeclaration);
  let rest = block.text;
  for (const each of [...found].reverse()) {
    const blank = each.getText().replaceAll(/[^\n]/g, '');
    rest = rest.slice(0, each.getStart()) + blank + rest.slice(each.getEnd());
  }
  return { imports: found.map((each) => each.getText()), rest };
}

/** Import declarations with each name once. */
function merge(imports: readonly string[]): string[] {
  const named = new Map<string, Set<string>>();
  const others = new Set<string>();
  for (const each of imports) {
    const match = /^import (type )?\{([^}]*)\} from ('[^']+')/.exec(each.replaceAll('\n', ' '));
    if (match === null) {
      others.add(each);
      continue;
    }
    const [, , names = '', from = ''] = match;
    const known = named.get(from) ?? named.set(from, new Set()).get(from);
    for (const name of names.split(',')) if (name.trim() !== '') known?.add(name.trim());
  }
  return [
    ...others,
    ...[...named].map(([from, names]) => `import { ${[...names].join(', ')} } from ${from};`),
  ];
}

/**
 * One module of several blocks. On a page each block sees what the blocks before it declare, as a reader does, and may declare the same
 * names again. Examples do not see each other.
 */
export function programOf(blocks: readonly Block[], { nested }: { nested: boolean }): string {
  const parts = blocks.map((block) => ({ block, ...split(block) }));
  const bodies = parts.map(({ block, rest }) => `{ // ${place(block)}\n${rest}\n`);
  const code = nested
    ? bodies.join('') + '}'.repeat(bodies.length)
    : bodies.map((body) => `${body}}\n`).join('');
  return `${merge(parts.flatMap(({ imports }) => imports)).join('\n')}\nexport {};\n${code}\n`;
}

/** The block with each `console.log(...); // text` made a check that exactly this is printed. */
export function withExpectations(block: Block): Block {
  const lines = block.text.split('\n').map((line, i) => {
    const match = /^(\s*)console\.log\((.*)\);\s*\/\/ (.*)$/.exec(line);
    if (match === null) return line;
    const [, indent = '', printed = '', expected = ''] = match;
    const where = `${block.file}:${block.line + i}`;
    return `${indent}globalThis.expectPrinted(${JSON.stringify(where)}, ${JSON.stringify(expected)}, ${printed});`;
  });
  return { ...block, text: lines.join('\n') };
}

/** What a program with expectations needs before it starts. */
export const EXPECT_PRINTED = `
import { format } from 'node:util';
const plain = (text) => text.replaceAll(/\\s+/g, ' ').trim();
globalThis.expectPrinted = (where, expected, ...printed) => {
  const text = plain(format(...printed));
  if (text !== plain(expected)) throw new Error(where + ': printed "' + text + '", but the page says "' + expected + '"');
};
`;

/** JavaScript of a TypeScript module. */
export function transpile(text: string): string {
  const options = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    verbatimModuleSyntax: false,
  };
  return ts.transpileModule(text, { compilerOptions: options }).outputText;
}

/** The syntax errors of a text. */
export function syntaxErrors(text: string): string[] {
  const { diagnostics = [] } = ts.transpileModule(text, {
    reportDiagnostics: true,
    compilerOptions: { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext },
  });
  return diagnostics.map((each) => ts.flattenDiagnosticMessageText(each.messageText, '\n'));
}
