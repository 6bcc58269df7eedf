/**
 * Checks what keeps the project in one piece and no compiler does: imports point only downward, each outside interface has
 * one place, files stay short, and no file names a machine or a package registry.
 *
 *     node scripts/check-layers.mjs [--root FOLDER]
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { argument, main, root, say, SetupError } from './tools.mjs';

/** lib/ from the bottom up. A file may import from its own layer and from those before it. */
const LIB_LAYERS = [
  ['errors', /^(?:errors|error-codes|native-interface)\./],
  ['values', /^(?:dispose|dtype|shape|uncloneable|validate)\.|^(?:formats|libtorch)\//],
  ['binding', /^(?:binding|device|random)\./],
  ['tensor', /^tensor\/|^(?:init|runtime)\./],
  ['modules', /^modules\//],
  ['files', /^files[./]/],
  ['index', /^index\./],
  ['doctor', /^doctor\//],
  ['cli', /^cli\//],
];

/** What a native folder must not include, and the files that are excused. */
const NATIVE_RULES = [
  { folder: 'native/kernels/', forbidden: /^(?:torch|ATen|c10)\//, what: 'torch' },
  { folder: 'native/kernels/', forbidden: /^(?:napi|node_api|js_native_api)/, what: 'Node-API' },
  { folder: 'native/kernels/', forbidden: /(?:^|\/)(?:engine|boundary)\//, what: 'a layer above' },
  { folder: 'native/engine/', forbidden: /^(?:napi|node_api|js_native_api)/, what: 'Node-API' },
  { folder: 'native/engine/', forbidden: /(?:^|\/)boundary\//, what: 'a layer above' },
  {
    folder: 'native/engine/',
    forbidden: /^(?:torch|ATen|c10)\//,
    what: 'torch',
    except: /^native\/engine\/torch-abi\.[ch]pp$/,
  },
  { folder: 'native/boundary/', forbidden: /^(?:torch|ATen|c10)\//, what: 'torch' },
];

/** One finds the addon, the other loads it. */
const ADDON_LOADERS = ['lib/libtorch/addon-file.ts', 'lib/binding.ts'];

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

/** The complaints about a tree, each `file:line: what is wrong`. */
export function checkTree(folder) {
  const complaints = [];
  for (const file of walk(folder, '')) {
    if (!TEXT.test(file)) continue;
    const lines = readFileSync(path.join(folder, file), 'utf8').split('\n');
    const complain = (line, text) => complaints.push(`${file}:${line}: ${text}`);
    checkTexts(lines, complain);
    if (SOURCE.test(file)) checkLength(lines, complain);
    if (/^lib\/.*\.ts$/.test(file)) checkLibrary(file, lines, folder, complain);
    if (file.startsWith('native/')) checkNative(file, lines, complain);
  }
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

function checkTexts(lines, complain) {
  for (const [i, line] of lines.entries()) {
    const registry = REGISTRIES.find((host) => line.includes(host));
    if (registry !== undefined) complain(i + 1, `names the package registry ${registry}`);
    if (MACHINE_FOLDER.test(line)) complain(i + 1, `names a folder of one machine: ${line.trim()}`);
  }
}

function checkLength(lines, complain) {
  const count = lines.at(-1) === '' ? lines.length - 1 : lines.length;
  if (count <= MAXIMUM_LINES || lines.slice(0, 20).some((line) => line.includes('Long because'))) return;
  complain(MAXIMUM_LINES + 1, `has ${count} lines; split it, or say "Long because ..." in its head`);
}

function layerOf(file) {
  return LIB_LAYERS.findIndex(([, pattern]) => pattern.test(file.replace(/^lib\//, '')));
}

function checkLibrary(file, lines, folder, complain) {
  const own = layerOf(file);
  if (own < 0) complain(1, 'belongs to no layer: name it in scripts/check-layers.mjs');
  for (const [i, line] of lines.entries()) {
    if (
      !ADDON_LOADERS.includes(file) &&
      /require\('node-gyp-build|from 'node-gyp-build|process\.dlopen|\.node['"`]/.test(line)
    ) {
      complain(i + 1, `loads the native addon; only ${ADDON_LOADERS.join(' and ')} may`);
    }
    const specifier = /(?:from|import|require)\s*\(?\s*['"](\.[^'"]*)['"]/.exec(line)?.[1];
    if (specifier === undefined || own < 0) continue;
    const target = resolveImport(folder, file, specifier);
    const other = layerOf(target);
    if (other > own) complain(i + 1, `${LIB_LAYERS[own][0]} imports upward, from ${LIB_LAYERS[other][0]}`);
    if (file.startsWith('lib/libtorch/') && other > 0 && !target.startsWith('lib/libtorch/')) {
      complain(i + 1, 'libtorch/ imports only errors');
    }
  }
}

function resolveImport(folder, file, specifier) {
  const target = path.posix.join(path.posix.dirname(file), specifier.replace(/\.js$/, ''));
  const candidates = [target, `${target}.ts`, `${target}/index.ts`];
  return (
    candidates.find((each) => /\.\w+$/.test(each) && existsSync(path.join(folder, each))) ?? `${target}.ts`
  );
}

function checkNative(file, lines, complain) {
  for (const [i, line] of lines.entries()) {
    const included = /^\s*#\s*include\s*[<"]([^>"]+)[>"]/.exec(line)?.[1];
    if (included === undefined) continue;
    for (const { folder, forbidden, what, except } of NATIVE_RULES) {
      if (!file.startsWith(folder) || except?.test(file) || !forbidden.test(included)) continue;
      complain(i + 1, `${folder} must not include ${what}: ${included}`);
    }
  }
}

await main(() => {
  const complaints = checkTree(path.resolve(argument('root') ?? root));
  for (const complaint of complaints) say(complaint);
  if (complaints.length > 0) throw new SetupError(`${complaints.length} complaint(s)`);
  say('Layers, lengths and texts are in order.');
});
