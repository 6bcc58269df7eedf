import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { evaluateScript } from './support';

const root = path.resolve(__dirname, '..', '..');

/** A tree that is in order; each case replaces files of it. */
const ORDERLY: Record<string, string> = {
  'lib/errors.ts': '',
  'lib/dtype.ts': "import { TokenLearnerError } from './errors';",
  'lib/libtorch/locate.ts': "import { TokenLearnerError } from '../errors';\nimport './cache';",
  'lib/libtorch/cache.ts': '',
  'lib/binding.ts': "import load from 'node-gyp-build';\nimport { locateLibtorch } from './libtorch/locate';",
  'lib/tensor/tensor.ts': "import '../binding';\nimport '../dtype';",
  'lib/modules/module.ts': "import { Tensor } from '../tensor/tensor';",
  'lib/index.ts': "export * from './modules/module';",
  'lib/cli/main.ts': "import { Tensor } from '../index';",
  'native/platform/posix.cpp': '#include <dlfcn.h>\n#include "platform/platform.hpp"\n',
  'native/kernels/params.hpp': '#include <cstddef>\n#include "kernels/status.hpp"\n',
  'native/engine/run/op.cpp': '#include "engine/torch/abi.hpp"\n#include "kernels/params.hpp"\n',
  'native/engine/torch/abi.hpp': '#include <torch/csrc/stable/c/shim.h>\n',
  'native/boundary/addon.cpp': '#include <napi.h>\n#include "engine/run/op.hpp"\n',
};

const host = (...parts: string[]): string => parts.join('.');
const brackets = (name: string): string => `[${name}]`;
const machine = (...parts: string[]): string => `/${parts.join('/')}`;

/** name, file, its text, the complaint about it. */
const VIOLATIONS: [string, string, string, string][] = [
  [
    'an upward import',
    'lib/tensor/tensor.ts',
    "import { Linear } from '../modules/module';",
    'tensor imports upward, from modules',
  ],
  ['an upward re-export', 'lib/errors.ts', "export * from './dtype';", 'errors imports upward, from values'],
  [
    'a lazy upward import',
    'lib/dtype.ts',
    "await import('./tensor/tensor.js');",
    'values imports upward, from tensor',
  ],
  [
    'an upward require',
    'lib/dtype.ts',
    "const { Tensor } = require('./tensor/tensor');",
    'values imports upward, from tensor',
  ],
  [
    'an upward type',
    'lib/formats/npy.ts',
    "export type T = import('../tensor/tensor').Tensor;",
    'values imports upward, from tensor',
  ],
  [
    'an upward import that a comment allows',
    'lib/errors.ts',
    "// eslint-disable-next-line -- allowed\nexport * from './dtype';",
    'errors imports upward, from values',
  ],
  [
    'an import of several lines',
    'lib/dtype.ts',
    "import {\n  Tensor,\n} from './tensor/tensor';",
    'values imports upward',
  ],
  [
    'libtorch/ with more than errors',
    'lib/libtorch/locate.ts',
    "import '../dtype';",
    'libtorch/ imports only errors, folders and once',
  ],
  ['a file of no layer', 'lib/surprise.ts', '', 'belongs to no layer'],
  [
    'a second loader',
    'lib/tensor/tensor.ts',
    "process.dlopen(module, 'x.node');",
    'only lib/libtorch/addon-file.ts, lib/libtorch/traced.ts, lib/binding.ts may',
  ],
  [
    'torch in kernels',
    'native/kernels/a.cpp',
    '#include <torch/csrc/stable/tensor.h>',
    'must not include torch',
  ],
  ['Node-API in kernels', 'native/kernels/a.cu', '#include <node_api.h>', 'must not include Node-API'],
  [
    'the engine in kernels',
    'native/kernels/a.hpp',
    '#include "engine/run/op.hpp"',
    'must not include a layer above',
  ],
  ['Node-API in the engine', 'native/engine/run/a.cpp', '#  include <napi.h>', 'must not include Node-API'],
  [
    'the boundary in the engine',
    'native/engine/run/a.cpp',
    '#include "../boundary/addon.hpp"',
    'a layer above',
  ],
  [
    'torch elsewhere in the engine',
    'native/engine/run/a.cpp',
    '#include <torch/headeronly/version.h>',
    'include torch',
  ],
  [
    'torch in the boundary',
    'native/boundary/a.cpp',
    '#include <torch/headeronly/version.h>',
    'include torch',
  ],
  [
    'an upward include in the engine',
    'native/engine/memory/a.cpp',
    '#include "engine/run/op.hpp"',
    'includes upward, from engine/run/',
  ],
  [
    'a system header outside the platform',
    'native/kernels/a.cpp',
    '#include <sys/mman.h>',
    'must not include a header of the operating system',
  ],
  [
    'the kernels in the platform',
    'native/platform/posix.cpp',
    '#include "kernels/status.hpp"',
    'native/platform/ must not include a layer above',
  ],
  ['a file of no part of the engine', 'native/engine/a.cpp', '', 'belongs to no part of the engine'],
  ['a long file', 'lib/dtype.ts', '\n'.repeat(401), 'has 401 lines'],
  ['half a merge', 'README.md', `a\n${'<'.repeat(7)} HEAD\nb`, 'is a marker of a merge conflict'],
  ['a registry', 'README.md', `https://${host('registry', 'npmjs', 'org')}/x`, 'names the package registry'],
  [
    'a Note that does not exist',
    'native/kernels/params.hpp',
    `// See Note ${brackets('Moved away')}.`,
    'names a Note that does not exist: Moved away',
  ],
  [
    'the second of two Notes, over the end of a line',
    'native/kernels/params.hpp',
    `// Note: ${brackets('Here')}\n// See Notes ${brackets('Here')} and\n// ${brackets('Moved away')}.`,
    'names a Note that does not exist: Moved away',
  ],
  ['a machine folder', 'scripts/a.mjs', `open('${machine('tmp', 'x')}')`, 'names a folder of one machine'],
];

/** Files that may look wrong and are not. */
const HARMLESS: [string, Record<string, string>][] = [
  ['a tree that is in order', {}],
  [
    'a file that has the name of a higher layer',
    { 'lib/formats/tensor.ts': '', 'lib/formats/npy.ts': "import './tensor';" },
  ],
  [
    'a long file that says why in its head',
    { 'lib/dtype.ts': `// Long because the tables belong together.\n${'\n'.repeat(500)}` },
  ],
  [
    'a path inside a project, which is no machine folder',
    { 'scripts/a.mjs': "import './work/x.mjs'; const a = `${root}/tmp/x`;" },
  ],
];

const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-layers-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Writes the orderly tree with these files put in; the folder. */
function writeTree(name: string, files: Record<string, string>): string {
  for (const [file, content] of Object.entries({ ...ORDERLY, ...files })) {
    const target = path.join(folder, name, file);
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, content);
  }
  return path.join(folder, name);
}

/** The complaints about each tree. One process for all, since eslint takes a second to load. */
function checkTrees(trees: string[]): string[][] {
  const list = `${JSON.stringify(trees)}.map(it.checkTree)`;
  return evaluateScript('check-layers.mjs', `await Promise.all(${list})`) as string[][];
}

describe('check-layers', () => {
  const trees = [
    ...VIOLATIONS.map(([, file, content]) => ({ [file]: content })),
    ...HARMLESS.map(([, files]) => files),
  ];
  let complaints: string[][];
  beforeAll(() => {
    complaints = checkTrees(trees.map((files, i) => writeTree(String(i), files)));
  });

  it.each(VIOLATIONS.map((violation, i) => [...violation, i] as const))(
    'finds %s',
    (_name, file, _content, text, i) => {
      expect(complaints[i]).toEqual([expect.stringContaining(text)]);
      expect(complaints[i]?.[0]).toMatch(new RegExp(`^${file}:\\d+: `));
    },
  );

  it.each(HARMLESS.map(([name], i) => [name, VIOLATIONS.length + i] as const))('accepts %s', (_name, i) => {
    expect(complaints[i]).toEqual([]);
  });

  it.each([
    [0, {}, 'Layers, lengths and texts are in order.'],
    [1, { 'lib/errors.ts': "export * from './dtype';" }, '1 complaint(s)'],
  ])('exits with %d', (status, files, text) => {
    const script = path.join(root, 'scripts', 'check-layers.mjs');
    const tree = writeTree(`exit-${status}`, files);
    const result = spawnSync(process.execPath, [script, '--root', tree], { encoding: 'utf8' });
    expect(result).toMatchObject({ status, stderr: expect.stringContaining(text) as string });
  });
});
