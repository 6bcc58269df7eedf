import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const folder = path.resolve(__dirname, '..', '..', '..', 'scripts', 'bench');

/** Where scripts/bench/NAME.mjs is, for an import. */
export function moduleUrl(name: string): string {
  return pathToFileURL(path.join(folder, `${name}.mjs`)).href;
}

/** The JSON that an expression over the exports of scripts/bench/NAME.mjs, as `it`, gives. jest itself loads no ES modules. */
export function evaluate(name: string, expression: string): unknown {
  const text = `import * as it from '${moduleUrl(name)}'; process.stdout.write('\\0' + JSON.stringify(${expression}));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', text], {
    encoding: 'utf8',
  });
  const at = stdout.indexOf('\0');
  if (at < 0) throw new Error(stderr);
  return JSON.parse(stdout.slice(at + 1)) as unknown;
}
