/**
 * Checks the rules of the house that no compiler checks: imports point only downward, each outside interface has
 * one place, files stay short, no file names a machine or a package registry, and each Note that a comment names exists. The
 * rules for lib/ are in lib-layers.mjs.
 *
 *     node scripts/check-layers.mjs [--root FOLDER]
 */
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { ensureDependencies } from './dependencies.mjs';
import { libLayers } from './lib-layers.mjs';
import { commandLine, isMain, main, root, say, SetupError } from './tools.mjs';

/** Headers of POSIX and of Windows. */
const SYSTEM_HEADER =
  /^(?:sys\/|mach|(?:dlfcn|fcntl|io|link|malloc|poll|process|pthread|sched|semaphore|signal|unistd|windows)\.h$)/;

/** Includes that a native folder must not have, and the files that are excused. */
const NATIVE_RULES = [
  {
    folder: 'native/',
    forbidden: SYSTEM_HEADER,
    what: 'a header of the operating system: call platform/platform.hpp',
    except: /^native\/(?:platform\/|boundary\/glibc-floor\.cpp$)/,
  },
  {
    folder: 'native/platform/',
    forbidden: /^(?:torch|ATen|c10|kernels|engine|boundary)\/|^(?:napi|node_api|js_native_api)/,
    what: 'a layer above',
  },
  { folder: 'native/kernels/', forbidden: /^(?:torch|ATen|c10)\//, what: 'torch' },
  { folder: 'native/kernels/', forbidden: /^(?:napi|node_api|js_native_api)/, what: 'Node-API' },
  { folder: 'native/kernels/', forbidden: /(?:^|\/)(?:engine|boundary)\//, what: 'a layer above' },
  { folder: 'native/engine/', forbidden: /^(?:napi|node_api|js_native_api)/, what: 'Node-API' },
  { folder: 'native/engine/', forbidden: /(?:^|\/)boundary\//, what: 'a layer above' },
  {
    folder: 'native/engine/',
    forbidden: /^(?:torch|ATen|c10)\//,
    what: 'torch',
    except: /^native\/engine\/torch\/abi\.[ch]pp$/,
  },
  { folder: 'native/boundary/', forbidden: /^(?:torch|ATen|c10)\//, what: 'torch' },
];

/** The parts of native/engine from the bottom up, by the beginning of a path. A file includes from its own part and from those before it. */
const ENGINE = 'native/engine/';
const ENGINE_PARTS = [
  'error.',
  'memory/',
  'run/exit-gate.',
  'torch/',
  'cuda/',
  'run/',
  'batch/',
  'image/',
  'aoti/',
  'token-learner/',
  'token-learner-v10/',
  'token-learner-v11/',
  'token-fuser/',
  'layers/',
];

/** The first finds the addon, the second loads it. */
const ADDON_LOADERS = ['lib/libtorch/addon-file.ts', 'lib/libtorch/traced.ts', 'lib/binding.ts'];

const LOADS_ADDON = /require\('node-gyp-build|from 'node-gyp-build|process\.dlopen|\.node['"`]/;

const MAXIMUM_LINES = 400;
const SOURCE = /\.(?:ts|mts|mjs|cjs|cpp|hpp|cu|cuh|py)$/;
const TEXT =
  /\.(?:ts|mts|mjs|cjs|js|json|cpp|hpp|cu|cuh|py|md|txt|gyp|cmake|yml|yaml|sh)$|(?:^|\/)(?:run|CMakeLists\.txt)$/;
const IGNORED = new Set([
  'node_modules',
  'dist',
  'build',
  'prebuilds',
  'coverage',
  '.git',
  '.venv',
  '.cache',
  'demo-output',
  'api',
]);

// Put together here, so that this file does not hold them itself.
const REGISTRIES = [
  ['registry', 'npmjs', 'org'],
  ['registry', 'yarnpkg', 'com'],
  ['pypi', 'org'],
  ['files', 'pythonhosted', 'org'],
  ['deb', 'debian', 'org'],
].map((parts) => parts.join('.'));
const MACHINE_FOLDER = new RegExp(
  String.raw`(?<![\w.~$}/@:-])/(?:${['work', 'tmp', 'opt', 'root'].join('|')})/\w`,
);

const MERGE_MARKER = /^(?:<{7}|>{7})(?: |$)/;

/** A name in brackets: `Note:` before it defines one, `Note` refers to one, `Notes` to several, also over the ends of lines in a comment. */
const NOTE = /\bNotes?(:?)\s+(\[[^\]]+\](?:(?:,|\s+and|,\s+and)\s+\[[^\]]+\])*)/g;
const COMMENT_LEADER = /^\s*(?:\/\/\/?|\*|#)(?= |$)/;

/** The complaints about a tree, each `file:line: what is wrong`. */
export async function checkTree(root) {
  const folder = realpathSync(root);
  const complaints = await checkImports(folder);
  const notes = new Set();
  const namedNotes = [];
  for (const file of walk(folder, '')) {
    if (!TEXT.test(file)) continue;
    const lines = readFileSync(path.join(folder, file), 'utf8').split('\n');
    const complain = (line, text) => complaints.push(`${file}:${line}: ${text}`);
    checkTexts(lines, complain);
    if (SOURCE.test(file)) checkLength(lines, complain);
    for (const { name, line, isDefined } of notesIn(lines)) {
      if (isDefined) notes.add(name);
      else
        namedNotes.push({
          name,
          complain: () => complain(line, `names a Note that does not exist: ${name}`),
        });
    }
    if (/^lib\/.*\.ts$/.test(file) && !ADDON_LOADERS.includes(file)) checkLoading(lines, complain);
    if (file.startsWith('native/')) checkNative(file, lines, complain);
  }
  for (const { name, complain } of namedNotes) if (!notes.has(name)) complain();
  return complaints;
}

function* walk(folder, prefix) {
  for (const entry of readdirSync(path.join(folder, prefix), { withFileTypes: true })) {
    if (IGNORED.has(entry.name)) continue;
    const name = path.posix.join(prefix, entry.name);
    if (entry.isDirectory()) yield* walk(folder, name);
    else if (entry.isFile()) yield name;
  }
}

function* notesIn(lines) {
  const text = lines.map((line) => line.replace(COMMENT_LEADER, '')).join('\n');
  for (const { 1: colon, 2: names, index } of text.matchAll(NOTE)) {
    const line = text.slice(0, index).split('\n').length;
    for (const [, name] of names.matchAll(/\[([^\]]+)\]/g))
      yield { name: name.replaceAll(/\s+/g, ' '), line, isDefined: colon !== '' };
  }
}

function checkTexts(lines, complain) {
  for (const [i, line] of lines.entries()) {
    const registry = REGISTRIES.find((host) => line.includes(host));
    if (registry !== undefined) complain(i + 1, `names the package registry ${registry}`);
    if (MERGE_MARKER.test(line)) complain(i + 1, 'is a marker of a merge conflict');
    if (MACHINE_FOLDER.test(line)) complain(i + 1, `names a folder of one machine: ${line.trim()}`);
  }
}

function checkLength(lines, complain) {
  const count = lines.at(-1) === '' ? lines.length - 1 : lines.length;
  if (count <= MAXIMUM_LINES || lines.slice(0, 20).some((line) => line.includes('Long because'))) return;
  complain(MAXIMUM_LINES + 1, `has ${count} lines; split it, or say "Long because ..." in its head`);
}

/** The layers of lib/, by eslint. The packages are loaded here, once they are installed. */
async function checkImports(folder) {
  ensureDependencies();
  const [{ ESLint }, { parser }] = await Promise.all([import('eslint'), import('typescript-eslint')]);
  const files = ['lib/**/*.ts', 'packages/server/lib/**/*.ts'];
  const eslint = new ESLint({
    cwd: folder,
    errorOnUnmatchedPattern: false,
    overrideConfigFile: true,
    overrideConfig: [{ files, languageOptions: { parser } }, ...libLayers],
    allowInlineConfig: false,
  });
  const results = await eslint.lintFiles(files);
  return results.flatMap(({ filePath, messages }) => {
    const file = path.relative(folder, filePath).replaceAll(path.sep, '/');
    return messages.map(({ line, message }) => `${file}:${line}: ${message}`);
  });
}

function checkLoading(lines, complain) {
  for (const [i, line] of lines.entries()) {
    if (!LOADS_ADDON.test(line)) continue;
    complain(i + 1, `loads the native addon; only ${ADDON_LOADERS.join(', ')} may`);
  }
}

function partOf(name) {
  return ENGINE_PARTS.findIndex((part) => name.startsWith(part));
}

function checkNative(file, lines, complain) {
  const own = file.startsWith(ENGINE) && SOURCE.test(file) ? partOf(file.slice(ENGINE.length)) : undefined;
  if (own === -1) complain(1, 'belongs to no part of the engine: name it in scripts/check-layers.mjs');
  for (const [i, line] of lines.entries()) {
    const included = /^\s*#\s*include\s*[<"]([^>"]+)[>"]/.exec(line)?.[1];
    if (included === undefined) continue;
    for (const { folder, forbidden, what, except } of NATIVE_RULES) {
      if (!file.startsWith(folder) || except?.test(file) || !forbidden.test(included)) continue;
      complain(i + 1, `${folder} must not include ${what}: ${included}`);
    }
    const other = included.startsWith('engine/') ? partOf(included.slice('engine/'.length)) : -1;
    if (own >= 0 && other > own) complain(i + 1, `includes upward, from engine/${ENGINE_PARTS[other]}`);
  }
}

if (isMain(import.meta.url)) {
  await main(async () => {
    const { values } = commandLine({ root: { type: 'string', default: root } });
    const complaints = await checkTree(values.root);
    for (const complaint of complaints) say(complaint);
    if (complaints.length > 0) throw new SetupError(`${complaints.length} complaint(s)`);
    say('Layers, lengths and texts are in order.');
  });
}
