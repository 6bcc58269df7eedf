import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.resolve(__dirname, '..', '..');

/** A tree that is in order; each test spoils one file of it. */
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
  'native/kernels/params.hpp': '#include <cstddef>\n#include "kernels/status.hpp"\n',
  'native/engine/op.cpp': '#include "engine/torch-abi.hpp"\n#include "kernels/params.hpp"\n',
  'native/engine/torch-abi.hpp': '#include <torch/csrc/stable/c/shim.h>\n',
  'native/boundary/addon.cpp': '#include <napi.h>\n#include "engine/op.hpp"\n',
};

/** Runs the check on the orderly tree with these files put in. */
function check(files: Record<string, string>): { status: number | null; complaints: string } {
  const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-layers-'));
  try {
    for (const [name, content] of Object.entries({ ...ORDERLY, ...files })) {
      const target = path.join(folder, name);
      mkdirSync(path.dirname(target), { recursive: true });
      writeFileSync(target, content);
    }
    const script = path.join(root, 'scripts', 'check-layers.mjs');
    const result = spawnSync(process.execPath, [script, '--root', folder], { encoding: 'utf8' });
    return { status: result.status, complaints: result.stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const host = (...parts: string[]): string => parts.join('.');
const machine = (...parts: string[]): string => `/${parts.join('/')}`;

describe('check-layers', () => {
  it('passes a tree that is in order', () => {
    expect(check({})).toMatchObject({ status: 0 });
  });

  it.each([
    [
      'an upward import',
      'lib/tensor/tensor.ts',
      "import { Linear } from '../modules/module';",
      'tensor imports upward, from modules',
    ],
    [
      'an upward re-export',
      'lib/errors.ts',
      "export * from './dtype';",
      'errors imports upward, from values',
    ],
    [
      'a lazy upward import',
      'lib/dtype.ts',
      "await import('./tensor/tensor.js');",
      'values imports upward, from tensor',
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
      'libtorch/ imports only errors',
    ],
    ['a file of no layer', 'lib/surprise.ts', '', 'belongs to no layer'],
    [
      'a second loader',
      'lib/tensor/tensor.ts',
      "process.dlopen(module, 'x.node');",
      'only lib/libtorch/addon-file.ts and lib/binding.ts may',
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
      '#include "engine/op.hpp"',
      'must not include a layer above',
    ],
    ['Node-API in the engine', 'native/engine/a.cpp', '#  include <napi.h>', 'must not include Node-API'],
    [
      'the boundary in the engine',
      'native/engine/a.cpp',
      '#include "../boundary/addon.hpp"',
      'a layer above',
    ],
    [
      'torch elsewhere in the engine',
      'native/engine/a.cpp',
      '#include <torch/headeronly/version.h>',
      'include torch',
    ],
    [
      'torch in the boundary',
      'native/boundary/a.cpp',
      '#include <torch/headeronly/version.h>',
      'include torch',
    ],
    ['a long file', 'lib/dtype.ts', '\n'.repeat(401), 'has 401 lines'],
    [
      'a registry',
      'README.md',
      `https://${host('registry', 'npmjs', 'org')}/x`,
      'names the package registry',
    ],
    ['a machine folder', 'scripts/a.mjs', `open('${machine('tmp', 'x')}')`, 'names a folder of one machine'],
  ])('finds %s', (_what, file, content, complaint) => {
    const { status, complaints } = check({ [file]: content });
    expect(status).toBe(1);
    expect(complaints).toContain(`${file}:`);
    expect(complaints).toContain(complaint);
    expect(complaints).toContain('1 complaint(s)');
  });

  it('lets a long file be that says why in its head', () => {
    const content = `// Long because the tables belong together.\n${'\n'.repeat(500)}`;
    expect(check({ 'lib/dtype.ts': content })).toMatchObject({ status: 0 });
  });

  it('does not take a path inside a project for a machine folder', () => {
    expect(check({ 'scripts/a.mjs': "import './work/x.mjs'; const a = `${root}/tmp/x`;" })).toMatchObject({
      status: 0,
    });
  });
});
