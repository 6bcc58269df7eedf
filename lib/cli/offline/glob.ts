/** Patterns of file names that the shell has not expanded: `*`, `?`, `[a-z]`, `{a,b}`, and `**` for any folders. */

const MAGIC = /[*?[\]{}]/;

/** True if a path has characters of a pattern. */
export function isPattern(path: string): boolean {
  return MAGIC.test(path);
}

/** A pattern: the folder that it begins in, and what the paths under it must match, with `/` between their parts. */
export interface Glob {
  folder: string;
  matches: RegExp;
}

/** Translates a class such as [a-z] or [!0-9]. Returns '' if it is not closed. */
function classAt(pattern: string, at: number): string {
  const found = /^\[([!^]?)(\]?[^\]/]*)\]/.exec(pattern.slice(at));
  if (found === null || found[2] === '') return '';
  const [, not, content = ''] = found;
  return `[${not === '' ? '' : '^/'}${content.replace(/[\\\]^[]/g, '\\$&')}]`;
}

/** The source of a regular expression for a pattern whose parts are separated by `/`. Names that begin with a dot match only a dot. */
function sourceOf(pattern: string): string {
  let source = '';
  let depth = 0;
  for (let at = 0; at < pattern.length; at++) {
    const rest = pattern.slice(at);
    const isStart = at === 0 || pattern[at - 1] === '/';
    const visible = isStart ? '(?!\\.)' : '';
    const character = rest[0] ?? '';
    if (isStart && /^\*\*(?:\/|$)/.test(rest)) {
      source += rest === '**' ? '(?:(?!\\.)[^/]+/)*(?!\\.)[^/]+' : '(?:(?!\\.)[^/]+/)*';
      at += rest === '**' ? 1 : 2;
    } else if (character === '*') source += `${visible}[^/]*`;
    else if (character === '?') source += `${visible}[^/]`;
    else if (character === '[' && classAt(pattern, at) !== '') {
      source += visible + classAt(pattern, at);
      at = pattern.indexOf(']', at + 2);
    } else if (character === '{' && rest.includes('}')) {
      depth += 1;
      source += '(?:';
    } else if (character === '}' && depth > 0) {
      depth -= 1;
      source += ')';
    } else if (character === ',' && depth > 0) source += '|';
    else source += character.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  }
  return source;
}

/** Splits a pattern at its first part with a special character. */
export function parseGlob(pattern: string): Glob {
  const parts = pattern.split('/');
  const first = parts.findIndex((part) => isPattern(part));
  const folder = parts.slice(0, first).join('/');
  return {
    folder: first === 0 ? '.' : folder === '' ? '/' : folder,
    matches: new RegExp(`^${sourceOf(parts.slice(first).join('/'))}$`, 'u'),
  };
}
