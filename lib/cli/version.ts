import { readFileSync } from 'node:fs';
import path from 'node:path';

/** The package's version, from its package.json. */
export function version(): string {
  const file = path.join(__dirname, '..', '..', 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
