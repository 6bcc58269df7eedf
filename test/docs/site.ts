/** The documentation site, built for the tests, and the browser that looks at it. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { root } from './blocks';

/** The folder of the built site. */
export const site = path.join(root, 'build', 'docs-test', 'site');
const api = path.join(root, 'build', 'docs-test', 'api.json');

/** Builds the site. Throws what TypeDoc said if that fails. */
export function buildSite(): void {
  rmSync(site, { recursive: true, force: true });
  const typedoc = path.join(root, 'node_modules', 'typedoc', 'bin', 'typedoc');
  const args = [typedoc, '--out', site, '--json', api, '--logLevel', 'Warn'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${stdout}\n${stderr}`);
}

/** The HTML files of the site, below it. */
export function sitePages(): string[] {
  const names = readdirSync(site, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.html')).map((name) => name.replaceAll(path.sep, '/'));
}

export const html = (page: string): string => readFileSync(path.join(site, page), 'utf8');

export interface Reflection {
  name: string;
  kind: number;
  comment?: { blockTags?: { tag: string }[] };
  signatures?: Reflection[];
  children?: Reflection[];
}

/** The exports of the package, as TypeDoc describes them. */
export const reference = (): Reflection[] =>
  (JSON.parse(readFileSync(api, 'utf8')) as Reflection).children ?? [];

/** Chromium's program; undefined where there is none. CHROMIUM names another. */
export const chromium = [
  process.env.CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((file) => file !== undefined && existsSync(file));

export const CHROMIUM_OPTIONS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
