/** The shell commands and the Python of README.md, CONTRIBUTING.md and docs/. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { saveNpy, saveSafetensors, Tensor, TokenLearner } from '../../lib';
import { type Block, pageBlocks, pages, place, read, root } from './blocks';

const folder = path.join(root, 'build', 'docs-test', 'shell');
const cli = path.join(root, 'dist', 'cli', 'main.js');
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

const isShell = ({ language }: Block): boolean => ['sh', 'bash', 'shell'].includes(language);
const shell = pages().flatMap((page) => pageBlocks(page).filter(isShell));

/** Commands that run here as they are: they change nothing outside their folder and need no network. */
const RUNNABLE = /^npx tokenlearner (?:info|doctor|run|runtime list|runtime path)\b[^|;&]*$/;

beforeAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(path.join(folder, 'bin'), { recursive: true });
  const npx = path.join(folder, 'bin', 'npx');
  writeFileSync(
    npx,
    `#!/bin/sh\n[ "$1" = tokenlearner ] || exit 99\nshift\nexec "${process.execPath}" "${cli}" "$@"\n`,
  );
  chmodSync(npx, 0o755);
  const weights = new TokenLearner({ dim: 64, device: 'cpu' }).stateDict();
  for (const name of ['model.safetensors', 'w.safetensors', 'model.pt'])
    await saveSafetensors(path.join(folder, name), weights);
  await saveNpy(path.join(folder, 'features.npy'), Tensor.randn([1, 64, 14, 14]));
  const features = path.join(folder, 'features', '2024');
  mkdirSync(features, { recursive: true });
  await saveNpy(path.join(features, 'a.npy'), Tensor.randn([1, 64, 7, 9]));
});

/** The commands of a block: one a line, continued lines joined, comments dropped. */
const commandsOf = ({ text }: Block): string[] =>
  text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .filter((line) => line !== '');

test.each(shell.map((block) => [place(block), block] as const))('%s is a shell script', (_, block) => {
  const { status, stderr } = spawnSync('bash', ['-n'], { input: block.text, encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

const commands = shell.flatMap((block) =>
  commandsOf(block).map((command) => [place(block), command] as const),
);

test.each(commands.filter(([, command]) => RUNNABLE.test(command)))('%s runs: %s', (_, command) => {
  const env = { ...process.env, PATH: `${path.join(folder, 'bin')}:${process.env.PATH ?? ''}` };
  const { status, stderr } = spawnSync('bash', ['-c', command], {
    cwd: folder,
    env,
    encoding: 'utf8',
    timeout: 60_000,
  });
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
});

test('the scripts of package.json that the pages name exist', () => {
  const named = pages().flatMap((page) => [
    ...read(page).matchAll(/\bnpm (?:run )?((?<=run )[\w:-]+|test)\b/g),
  ]);
  expect(named.length).toBeGreaterThan(10);
  expect([...new Set(named.map(([, name = '']) => name))].filter((name) => !(name in scripts))).toEqual([]);
});

/** `tokenlearner` commands anywhere in a text: in blocks and in prose. */
function invocations(text: string): string[] {
  const blocks = text.replaceAll('\\\n', ' ').split('\n');
  const inBlocks = blocks.flatMap((line) => [...line.matchAll(/npx tokenlearner ([^|`#]+)/g)]);
  const inProse = [...text.matchAll(/`tokenlearner ([^`]+)`/g)];
  return [...inBlocks, ...inProse].map(([, rest = '']) =>
    rest
      .replaceAll(/[[\]]/g, ' ')
      .replaceAll(/'[^']*'/g, 'x')
      .trim(),
  );
}

const helps = new Map<string, string>();
function helpOf(command: string): string {
  const known = helps.get(command);
  if (known !== undefined) return known;
  const args = [cli, ...command.split(' ').filter((word) => word !== ''), '--help'];
  const { stdout, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const text = status === 0 ? stdout : '';
  helps.set(command, text);
  return text;
}

test('every option of a tokenlearner command exists', () => {
  const all = pages().flatMap((page) => invocations(read(page)).map((rest) => ({ page, rest })));
  expect(all.length).toBeGreaterThan(10);
  const wrong = all.filter(({ rest }) => {
    const words = rest.split(/\s+/);
    const command = words.slice(0, words[0] === 'runtime' ? 2 : 1).filter((word) => /^[a-z]+$/.test(word));
    const help = helpOf(command.join(' '));
    const options = words
      .filter((word) => /^--?[a-z]/i.test(word))
      .map((word) => word.replace(/[=,;].*$/, ''));
    return help === '' || options.some((option) => !help.includes(option));
  });
  expect(wrong).toEqual([]);
});

const python = [
  process.env.PYTHON,
  path.join(root, 'build', 'bench-peers', 'python', 'bin', 'python'),
  'python3',
].find((each) => each !== undefined && (!path.isAbsolute(each) || existsSync(each)));
const succeeds = (code: string): boolean => spawnSync(python ?? 'python3', ['-c', code]).status === 0;
const hasPython = succeeds('import ast');
const hasTorch = hasPython && succeeds('import torch, numpy, safetensors');

describe(hasTorch ? 'Python, run with PyTorch' : 'Python, only parsed: there is no PyTorch here', () => {
  const scriptsOf = pages().map(
    (page) => [page, pageBlocks(page).filter(({ language }) => language === 'python')] as const,
  );
  const check = hasPython ? test : test.skip;
  for (const [page, blocks] of scriptsOf.filter(([, found]) => found.length > 0))
    check(page, () => {
      const code = blocks.map(({ text }) => text).join('\n');
      const args = hasTorch ? ['-'] : ['-c', 'import ast, sys; ast.parse(sys.stdin.read())'];
      const { status, stderr } = spawnSync(python ?? 'python3', args, {
        input: code,
        cwd: folder,
        encoding: 'utf8',
      });
      expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
    });
});
