/**
 * Packages of AOTInductor for tests. make_programs.py compiles them, once, into build/aoti-programs; there it says what each computes. Where
 * there is no Python with torch, or no C++ compiler, the tests that need them are skipped.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { withLock } from '../../../lib/libtorch/lock';

const root = path.resolve(__dirname, '..', '..', '..');
const SCRIPT = path.join(__dirname, 'make_programs.py');
/** The export script, whose ViT is that of the programs. */
export const EXPORT_SCRIPT = path.join(root, 'python', 'export.py');
/** Compiling takes some 15 seconds a program, and other test files may do it at the same time. */
const TIMEOUT_MS = 1_200_000;

/** The programs of make_programs.py. */
export type ProgramName =
  | 'conv'
  | 'vit'
  | 'record'
  | 'words'
  | 'weights'
  | 'throws'
  | 'half'
  | 'same'
  | 'optional'
  | 'blob'
  | 'pickled'
  | 'several';

/** What a program is made of. */
const PARTS: Partial<Record<ProgramName, readonly ProgramName[]>> = { several: ['conv', 'record'] };

/** A compiled program. */
export interface Program {
  /** The path of its .pt2. */
  file: string;
  /** The path of an .npz with inputs and PyTorch's outputs; 'several' has none. */
  values: string;
}

/** The sizes of batch in {@link Program.values}. */
export const BATCHES = [1, 2, 4, 7];

const candidates = [
  process.env.PYTHON,
  path.join(root, 'build', 'aoti-python', 'bin', 'python'),
  path.join(root, 'build', 'bench-peers', 'python', 'bin', 'python'),
  'python3',
];

function torchVersionOf(python: string): string | undefined {
  const code = "from importlib.metadata import version; print(version('torch')); version('numpy')";
  const { status, stdout } = spawnSync(python, ['-I', '-c', code], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

/** PyTorch puts paths on the compiler's command line without quotes. The Python lies in the checkout, or is named by PYTHON. */
function pathWithSpace(python: string): string | undefined {
  return [root, python].find((folder) => folder.includes(' '));
}

function findPython(): { python: string; version: string } | undefined {
  for (const python of candidates) {
    const version = python === undefined ? undefined : torchVersionOf(python);
    if (python !== undefined && version !== undefined) return { python, version };
  }
  return undefined;
}

const found = findPython();
const hasCompiler = spawnSync(process.env.CXX ?? 'g++', ['--version']).status === 0;

/** The Python that has torch; undefined if there is none. */
export const python = found?.python;
/** The version of its torch. */
export const torchVersion = found?.version;

function reasonNotTo(): string | null {
  if (process.platform !== 'linux') return 'compiled on Linux alone';
  if (found === undefined)
    return 'there is no Python with torch here: `node test/bench/install-peers.mjs torch` installs one, PYTHON can name another';
  if (!hasCompiler) return 'there is no C++ compiler here';
  const folder = pathWithSpace(found.python);
  return folder === undefined ? null : `PyTorch compiles in no folder whose name has a space: ${folder}`;
}

/** Why nothing can be compiled here; null if it can. */
export const whyNot = reasonNotTo();

/** The folder of compiled programs, named by the torch and the script that made them. */
export function programsFolder(): string {
  const hash = createHash('sha256')
    .update(readFileSync(SCRIPT))
    .update(readFileSync(EXPORT_SCRIPT))
    .digest('hex')
    .slice(0, 12);
  return path.join(root, 'build', 'aoti-programs', `${torchVersion ?? 'none'}-${hash}`);
}

/** Runs the Python that has torch. Rejects with its output if it fails. */
export async function runPython(args: readonly string[], options: { cwd?: string } = {}): Promise<string> {
  const child = spawn(python ?? 'python3', args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let [output, errors] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const status = await new Promise((resolve, reject) => {
    child.on('error', reject).on('close', resolve);
  });
  if (status !== 0) throw new Error(`${args.join(' ')} failed: ${output}${errors}`);
  return output;
}

/** Runs lines of Python after `from export import *`, and returns the JSON that they print. `sys.argv[2]` is the folder. */
export async function evaluateExport(folder: string, ...lines: string[]): Promise<unknown> {
  const code = ['import json, sys', 'sys.path[:0] = sys.argv[1:]', 'from export import *', ...lines].join(
    '\n',
  );
  return JSON.parse(await runPython(['-I', '-c', code, path.dirname(EXPORT_SCRIPT), folder]));
}

function isCompiled(folder: string, name: ProgramName): boolean {
  // The last file that the script writes.
  return existsSync(path.join(folder, name === 'several' ? 'several.pt2' : `${name}.json`));
}

/** Compiles programs that are not there yet. */
export async function makePrograms<N extends ProgramName>(names: readonly N[]): Promise<Record<N, Program>> {
  const folder = programsFolder();
  mkdirSync(folder, { recursive: true });
  const all = names.flatMap((name) => [...(PARTS[name] ?? []), name]);
  await withLock(path.join(folder, 'programs.lock'), async () => {
    const missing = [...new Set(all)].filter((name) => !isCompiled(folder, name));
    // Two processes: each compiles one program after the other. What consists of others comes last.
    const single = missing.filter((name) => PARTS[name] === undefined);
    const compile = async (chosen: readonly string[]) => {
      if (chosen.length > 0) await runPython(['-I', SCRIPT, folder, ...chosen]);
    };
    await Promise.all([0, 1].map((half) => compile(single.filter((_, i) => i % 2 === half))));
    await compile(missing.filter((name) => !single.includes(name)));
  });
  const program = (name: string) => ({
    file: path.join(folder, `${name}.pt2`),
    values: path.join(folder, `${name}.npz`),
  });
  return Object.fromEntries(names.map((name) => [name, program(name)])) as Record<N, Program>;
}

/** Tests on compiled programs. `programs` may be called in tests and hooks. Skipped, with the reason, where nothing can be compiled. */
export function describeWithPrograms<N extends ProgramName>(
  title: string,
  names: readonly N[],
  tests: (programs: () => Record<N, Program>) => void,
): void {
  (whyNot === null ? describe : describe.skip)(whyNot === null ? title : `${title} (${whyNot})`, () => {
    let made: Record<N, Program> | undefined;
    beforeAll(async () => {
      made = await makePrograms(names);
    }, TIMEOUT_MS);
    tests(() => {
      if (made === undefined) throw new Error('The programs are not compiled yet');
      return made;
    });
  });
}
