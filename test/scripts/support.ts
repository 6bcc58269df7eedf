import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** The JSON that an expression over the exports of a script, `it`, gives. Throws what the script throws. */
export function evaluateScript(script: string, expression: string): unknown {
  const url = pathToFileURL(path.resolve(__dirname, '..', '..', 'scripts', script)).href;
  const text = `import * as it from '${url}'; console.log(JSON.stringify(${expression}));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', text], {
    encoding: 'utf8',
  });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as unknown;
}
