/**
 * The layers of lib/ and of packages/server/lib/ as rules of eslint: imports point only downward. eslint.config.mjs shows a violation in the editor; `npm run check`
 * fails on it, whatever the comments in the file say.
 */

/** lib/ from the bottom up: the files and folders of each layer. A file imports from its own layer and from those before it. */
const LAYERS = [
  ['errors', ['bundled', 'errors', 'folders', 'native-interface', 'once']],
  ['values', ['cpu-flags', 'dispose', 'dtype', 'shape', 'uncloneable', 'validate', 'formats', 'libtorch']],
  ['binding', ['binding', 'device', 'random', 'shared']],
  ['tensor', ['tensor', 'init', 'runtime']],
  ['weights', ['weights']],
  ['modules', ['modules']],
  ['aoti', ['aoti']],
  ['serving', ['serving']],
  ['files', ['files']],
  ['visualize', ['visualize']],
  ['index', ['index', 'open-shared']],
  ['doctor', ['doctor']],
  ['cli', ['cli']],
];

/** packages/server/lib/, in the same way. */
const SERVER = 'packages/server/lib';
const SERVER_LAYERS = [
  [
    'values',
    [
      'auth',
      'check',
      'datatypes',
      'departure',
      'json-numbers',
      'json-scan',
      'lifecycle',
      'options',
      'port-error',
      'problem',
      'protocol',
      'values',
    ],
  ],
  ['models', ['models', 'input', 'input-pool']],
  ['core', ['core', 'observe', 'tracked-request']],
  ['transports', ['http', 'grpc']],
  ['server', ['server']],
  ['serve', ['serve']],
  ['index', ['index']],
];

/** Imports that no-restricted-imports does not see. */
const LAZY =
  ":matches(ImportExpression, CallExpression[callee.name='require'], TSImportType, TSExternalModuleReference)";

/** Rules that forbid an import whose specifier matches one of [{regex, message}]. */
function forbid(patterns) {
  if (patterns.length === 0) return { 'no-restricted-imports': 'off', 'no-restricted-syntax': 'off' };
  const lazy = patterns.map(({ regex, message }) => ({
    // A selector's regular expression cannot hold a slash.
    selector: `${LAZY} Literal[value=/${regex.replaceAll('/', String.raw`\u002F`)}/]`,
    message,
  }));
  return {
    'no-restricted-imports': ['error', { patterns }],
    'no-restricted-syntax': ['error', ...lazy],
  };
}

/** The imports of higher layers, in a file that reaches its lib/ by `up`. */
function upward(layers, index, up) {
  const [own] = layers[index];
  return layers.slice(index + 1).map(([name, entries]) => ({
    regex: `^${up}(?:${entries.join('|')})(?:$|[./])`,
    message: `${own} imports upward, from ${name}`,
  }));
}

/** The rules of the files in a folder. */
function inLayers(folder, layers) {
  return layers.flatMap(([, entries], index) => [
    {
      files: entries.map((entry) => `${folder}/${entry}.ts`),
      rules: forbid(upward(layers, index, String.raw`\./`)),
    },
    {
      files: entries.map((entry) => `${folder}/${entry}/**/*.ts`),
      rules: forbid(upward(layers, index, String.raw`(?:\.\./)+`)),
    },
  ]);
}

/** Entries for eslint's configuration; a later one replaces the rules of an earlier one for the same file. */
export const libLayers = [
  {
    files: ['lib/**/*.ts', `${SERVER}/**/*.ts`],
    rules: {
      'no-restricted-syntax': [
        'error',
        { selector: 'Program', message: 'belongs to no layer: name it in scripts/lib-layers.mjs' },
      ],
    },
  },
  ...inLayers('lib', LAYERS),
  ...inLayers(SERVER, SERVER_LAYERS),
  {
    files: ['lib/libtorch/**/*.ts'],
    rules: forbid([
      {
        regex: String.raw`^\.\./(?!(?:${LAYERS[0][1].join('|')})(?:$|[./])|[\w-]+\.json$)`,
        message: 'libtorch/ imports only errors, folders and once',
      },
    ]),
  },
];
