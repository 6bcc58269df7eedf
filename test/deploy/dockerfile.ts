/** Reads a Dockerfile of deploy/. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

export interface Instruction {
  keyword: string;
  /** The rest, in one line. */
  value: string;
}

export interface Dockerfile {
  text: string;
  instructions: Instruction[];
  /** The defaults of ARG. */
  args: Record<string, string>;
}

export function dockerfile(name: string): Dockerfile {
  const file = path.resolve(__dirname, '..', '..', 'deploy', 'docker', name);
  const text = readFileSync(file, 'utf8');
  const lines = text
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line !== '');
  const instructions = lines.map((line) => {
    const [keyword = '', ...rest] = line.split(' ');
    return { keyword, value: rest.join(' ') };
  });
  const args = instructions
    .filter(({ keyword }) => keyword === 'ARG')
    .map(({ value }) => value.split(/=(.*)/))
    .map(([key = '', value = '']) => [key, value.replaceAll('"', '')]);
  return { text, instructions, args: Object.fromEntries(args) as Record<string, string> };
}
