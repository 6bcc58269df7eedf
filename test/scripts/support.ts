import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const scripts = path.resolve(__dirname, '..', '..', 'scripts');

/**
 * The JSON that an expression over the exports of a module, `it`, gives; the file is relative to scripts/. Throws what the module throws.
 * jest itself loads no ES modules.
 */
export function evaluateScript(file: string, expression: string): unknown {
  const url = pathToFileURL(path.join(scripts, file)).href;
  // The zero byte parts the result from anything that the module prints.
  const text = `import * as it from '${url}'; process.stdout.write('\\0' + JSON.stringify(${expression}));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', text], {
    encoding: 'utf8',
  });
  const at = stdout.indexOf('\0');
  if (at < 0) throw new Error(stderr);
  return JSON.parse(stdout.slice(at + 1)) as unknown;
}
