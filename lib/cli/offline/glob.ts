/** Patterns of file names that the shell has not expanded: `*`, `?`, `[a-z]`, `{a,b}`, and `**` for any folders. */
import path from 'node:path';
import { UsageError } from '../usage-error';

const MAGIC = /[*?[\]{}]/;

/** True if a path has characters of a pattern. */
export function isPattern(name: string): boolean {
  return MAGIC.test(name);
}

/** A pattern: the folder that it begins in, and what the paths under it must match, with `/` between their parts. */
export interface Glob {
  folder: string;
  matches: RegExp;
  /** The folders under it that can hold a match: those whose parts match the pattern's first parts, and everything below `**`. */
  enters: RegExp;
}

/** A class such as [a-z] or [!0-9] at a position: its source, and its length in the pattern. Undefined if it is not closed. */
function classAt(pattern: string, at: number): { source: string; length: number } | undefined {
  const [whole, not, content] = /^\[([!^]?)(\]?[^\]/]*)\]/.exec(pattern.slice(at)) ?? [];
  if (whole === undefined || content === undefined || content === '') return undefined;
  const escaped = content.replace(/[\\\]^[]/g, '\\$&');
  return { source: `(?!/)[${not === '' ? '' : '^'}${escaped}]`, length: whole.length };
}

/** The place of the brace that closes the one at a position; -1 if there is none. */
function closing(pattern: string, at: number): number {
  let depth = 0;
  for (let i = at; i < pattern.length; i++) {
    if (pattern[i] === '{') depth += 1;
    else if (pattern[i] === '}' && --depth === 0) return i;
  }
  return -1;
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
    const found = character === '[' ? classAt(pattern, at) : undefined;
    if (isStart && /^\*\*(?:\/|$)/.test(rest)) {
      source += rest === '**' ? '(?:(?!\\.)[^/]+/)*(?!\\.)[^/]+' : '(?:(?!\\.)[^/]+/)*';
      at += rest === '**' ? 1 : 2;
    } else if (character === '*') source += `${visible}[^/]*`;
    else if (character === '?') source += `${visible}[^/]`;
    else if (found !== undefined) {
      source += visible + found.source;
      at += found.length - 1;
    } else if (character === '{' && closing(pattern, at) > at) {
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

/** The parts of a pattern. A slash in braces separates none. */
function partsOf(pattern: string): string[] {
  const parts = [''];
  for (let at = 0; at < pattern.length; at++) {
    const end = pattern[at] === '{' ? Math.max(closing(pattern, at), at) : at;
    if (pattern[at] === '/') parts.push('');
    else parts.push(`${parts.pop() ?? ''}${pattern.slice(at, end + 1)}`);
    at = end;
  }
  return parts;
}

/** The source of a regular expression for the folders that can hold a match. Braces with a slash hold folders of any depth, as `**` does. */
function foldersOf([part = '', ...rest]: readonly string[]): string {
  if (part === '**' || part.includes('/')) return '[^]+';
  if (rest.length === 0) return '(?!)';
  return `${sourceOf(part)}(?:/${foldersOf(rest)})?`;
}

function expression(pattern: string, source: string): RegExp {
  try {
    return new RegExp(`^${source}$`, 'u');
  } catch {
    throw new UsageError(
      `${pattern} is no pattern: a range in [] goes from the lower character to the higher`,
    );
  }
}

/**
 * Splits a pattern at its first part with a special character.
 *
 * @param separator - of the system's paths; on Windows a pattern may have both
 * @throws UsageError for a range whose ends are the wrong way round.
 */
export function parseGlob(pattern: string, separator: string = path.sep): Glob {
  const parts = pattern.replaceAll(separator, '/').split('/');
  const first = parts.findIndex((part) => isPattern(part));
  const folder = parts.slice(0, first).join('/');
  const rest = parts.slice(first).join('/');
  return {
    folder: first === 0 ? '.' : folder === '' ? '/' : folder,
    matches: expression(pattern, sourceOf(rest)),
    enters: expression(pattern, foldersOf(partsOf(rest))),
  };
}
