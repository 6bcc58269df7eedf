/** Links of Markdown files and of HTML pages, and where they lead. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

const isElsewhere = (target: string): boolean => /^[a-z][a-z+.-]*:/i.test(target) || target.startsWith('//');

/** The text without blocks and spans of code. */
const prose = (text: string): string =>
  text.replaceAll(/^( *)```[\s\S]*?^\1```$/gm, '').replaceAll(/`[^`\n]*`/g, '');

/** The targets of a Markdown text's links and pictures. */
export const markdownLinks = (text: string): string[] =>
  [...prose(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);

/** The anchors of a Markdown text's headings, as GitHub makes them. */
export function markdownAnchors(text: string): Set<string> {
  const headings = [...text.replaceAll(/^( *)```[\s\S]*?^\1```$/gm, '').matchAll(/^#+ (.+)$/gm)];
  return new Set(
    headings.map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** The targets of an HTML page's links, pictures, styles and scripts. */
export const htmlLinks = (text: string): string[] =>
  [...text.matchAll(/\s(?:href|src)="([^"]*)"/g)].map(([, target = '']) => target.replaceAll('&amp;', '&'));

export const htmlAnchors = (text: string): Set<string> =>
  new Set([...text.matchAll(/\sid="([^"]*)"/g)].map(([, id = '']) => id));

/** The links of a file that lead nowhere. */
export function brokenLinks(
  file: string,
  links: (text: string) => string[],
  anchors: (text: string) => Set<string>,
): string[] {
  return links(readFileSync(file, 'utf8')).filter((target) => {
    if (target === '' || isElsewhere(target)) return false;
    const [name = '', anchor = ''] = target.split('#');
    const found = name === '' ? file : path.resolve(path.dirname(file), decodeURIComponent(name));
    if (!existsSync(found)) return true;
    if (anchor === '' || statSync(found).isDirectory() || path.extname(found) !== path.extname(file))
      return false;
    return !anchors(readFileSync(found, 'utf8')).has(decodeURIComponent(anchor));
  });
}
