/** Checks programs against the types of lib/. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { root } from './blocks';

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2022.d.ts', 'lib.esnext.disposable.d.ts', 'lib.dom.d.ts'],
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  resolveJsonModule: true,
  types: ['node'],
  strict: true,
  noImplicitAny: false,
  skipLibCheck: true,
  noEmit: true,
  paths: { tokenlearner: [path.join(root, 'lib', 'index.ts')] },
};

/** Packages that are not installed here have no types. */
function ambientModules(programs: ReadonlyMap<string, string>): string {
  const names = [...programs.values()].flatMap((text) =>
    [...text.matchAll(/\bfrom '([^'.][^']*)'/g)].map(([, name = '']) => name),
  );
  const missing = names.filter((name) => {
    const top = name
      .split('/')
      .slice(0, name.startsWith('@') ? 2 : 1)
      .join('/');
    return (
      !name.startsWith('node:') && top !== 'tokenlearner' && !existsSync(path.join(root, 'node_modules', top))
    );
  });
  return [...new Set(missing)].map((name) => `declare module '${name}';`).join('\n');
}

export interface TypeError {
  /** Of the page or the source. */
  file: string;
  line: number;
  message: string;
}

/** The type errors of each program, by its name. */
export function typeErrors(programs: ReadonlyMap<string, string>): Map<string, TypeError[]> {
  const folder = path.join(root, 'build', 'docs-test', 'types');
  const texts = new Map(
    [...programs].map(([name, text]) => [path.join(folder, `${name.replaceAll(/\W/g, '-')}.ts`), text]),
  );
  const names = new Map(
    [...programs.keys()].map((name) => [path.join(folder, `${name.replaceAll(/\W/g, '-')}.ts`), name]),
  );
  const ambient = path.join(folder, 'ambient.d.ts');
  texts.set(ambient, ambientModules(programs));
  const host = ts.createCompilerHost(OPTIONS);
  const original = {
    file: host.getSourceFile.bind(host),
    exists: host.fileExists.bind(host),
    read: host.readFile.bind(host),
  };
  host.getSourceFile = (file, language, ...rest) => {
    const text = texts.get(path.normalize(file));
    return text === undefined
      ? original.file(file, language, ...rest)
      : ts.createSourceFile(file, text, language, true);
  };
  host.fileExists = (file) => texts.has(path.normalize(file)) || original.exists(file);
  host.readFile = (file) => texts.get(path.normalize(file)) ?? original.read(file);
  const program = ts.createProgram([...texts.keys()], OPTIONS, host);
  return new Map(
    [...names].map(([file, name]) => {
      const source = program.getSourceFile(file);
      if (source === undefined) throw new Error(`${file} was not compiled`);
      const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
      return [name, found.map((each) => describe(source, each))];
    }),
  );
}

/** The error at its place on the page. */
function describe(source: ts.SourceFile, { start = 0, messageText }: ts.Diagnostic): TypeError {
  const before = source.text.slice(0, start).split('\n');
  const marks = before.map((line, i) => (/^\{? ?\/\/ \S+:\d+$/.test(line) ? i : -1));
  const at = Math.max(...marks);
  const [, file = '', line = '0'] = /(\S+):(\d+)$/.exec(before[at] ?? '') ?? [];
  const message = ts.flattenDiagnosticMessageText(messageText, '\n');
  return { file, line: Number(line) + before.length - at - 2, message };
}
