/**
 * Text without fonts: the outlines of glyphs.json (scripts/derive-glyphs.py), filled with antialiasing. A container without fonts draws the same
 * pixels. Pure.
 */
import outlines from './glyphs.json';

interface Glyph {
  advance: number;
  path: string;
}

/** 'ADVANCE PATH', as the table has them. */
function glyph(text: string): Glyph {
  const [advance = ''] = text.split(' ', 1);
  return { advance: Number(advance), path: text.slice(advance.length + 1) };
}

const GLYPHS: ReadonlyMap<string, Glyph> = new Map(
  Object.entries(outlines).map(([char, text]) => [char, glyph(text)]),
);
/** An empty box, for characters that the table lacks. */
const UNKNOWN = glyph('600 M80 0V700H520V0ZM130 50H470V650H130Z');
const ELLIPSIS = '…';
const UNITS = 1000;
/** Segments of a curve. */
const SEGMENTS = 8;

/** The height of capitals and of the room above and below the baseline, in parts of the font size. */
export const CAPITALS = 0.69;
const ASCENT = 0.95;
const DESCENT = 0.25;

function glyphOf(char: string): Glyph {
  return GLYPHS.get(char) ?? UNKNOWN;
}

/** The characters of a text. Accents are joined to their letters; controls become spaces. */
function charactersOf(text: string): string[] {
  return Array.from(text.normalize('NFC').replaceAll(/\p{C}|\s/gu, ' '));
}

/** The width of a text in pixels at a font size. */
export function textWidth(text: string, size: number): number {
  return charactersOf(text).reduce((sum, char) => sum + glyphOf(char).advance, 0) * (size / UNITS);
}

/** A text that is at most `width` wide, cut with an ellipsis where it is longer. */
export function fitText(text: string, size: number, width: number): string {
  const characters = charactersOf(text);
  const ellipsis = glyphOf(ELLIPSIS).advance;
  const fits = (advances: number): boolean => advances * (size / UNITS) <= width;
  let [advances, kept] = [0, 0];
  for (const [i, char] of characters.entries()) {
    advances += glyphOf(char).advance;
    if (!fits(advances)) return kept === 0 ? '' : characters.slice(0, kept).join('') + ELLIPSIS;
    // No space stands before the ellipsis.
    if (char !== ' ' && fits(advances + ellipsis)) kept = i + 1;
  }
  return text;
}

/** How much of each pixel a text covers. */
export interface Coverage {
  /** From 0 to 1, row by row. */
  readonly data: Float32Array;
  readonly width: number;
  readonly height: number;
  /** The row of the baseline. */
  readonly baseline: number;
}

/** Fills a text, whose first advance begins `offset` (from 0 to 1) after the left edge. */
export function fillText(text: string, size: number, offset = 0): Coverage {
  const scale = size / UNITS;
  const width = Math.ceil(textWidth(text, size) + offset) + 2;
  const baseline = Math.ceil(ASCENT * size);
  const height = baseline + Math.ceil(DESCENT * size);
  const area = new Area(width, height);
  let x = offset + 1;
  for (const char of charactersOf(text)) {
    const { advance, path } = glyphOf(char);
    const left = x;
    trace(path, (x0, y0, x1, y1) => {
      area.line(left + x0 * scale, baseline - y0 * scale, left + x1 * scale, baseline - y1 * scale);
    });
    x += advance * scale;
  }
  return { data: area.coverage(), width, height, baseline };
}

type Line = (x0: number, y0: number, x1: number, y1: number) => void;

/** Follows a path of M, L, H, V, Q and Z with absolute coordinates, as lines. */
function trace(path: string, line: Line): void {
  let [x, y, startX, startY] = [0, 0, 0, 0];
  const to = (nextX: number, nextY: number): void => {
    line(x, y, nextX, nextY);
    [x, y] = [nextX, nextY];
  };
  for (const [, command, text = ''] of path.matchAll(/([MLHVQZ])([^MLHVQZ]*)/g)) {
    const numbers = text.match(/-?\d+/g)?.map(Number) ?? [];
    if (command === 'Z') to(startX, startY);
    else if (command === 'H') for (const next of numbers) to(next, y);
    else if (command === 'V') for (const next of numbers) to(x, next);
    else if (command === 'Q')
      for (let i = 0; i + 3 < numbers.length; i += 4) curve(numbers.slice(i), x, y, to);
    else
      for (let i = 0; i + 1 < numbers.length; i += 2) {
        const [nextX = 0, nextY = 0] = numbers.slice(i);
        if (command === 'M' && i === 0) [x, y, startX, startY] = [nextX, nextY, nextX, nextY];
        else to(nextX, nextY);
      }
  }
}

/** A quadratic curve as lines. */
function curve(
  [controlX = 0, controlY = 0, endX = 0, endY = 0]: readonly number[],
  x: number,
  y: number,
  to: (x: number, y: number) => void,
): void {
  for (let i = 1; i <= SEGMENTS; i++) {
    const [t, s] = [i / SEGMENTS, 1 - i / SEGMENTS];
    to(s * s * x + 2 * s * t * controlX + t * t * endX, s * s * y + 2 * s * t * controlY + t * t * endY);
  }
}

/**
 * The exact area that closed outlines cover of each pixel. Each line adds, in the pixels that it crosses, the change of the area to its right; the
 * sums along the rows are the areas.
 */
class Area {
  /** One column more than the pixels: a line in the last one changes what lies right of it too. */
  readonly #changes: Float32Array;

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.#changes = new Float32Array((width + 1) * height);
  }

  line(x0: number, y0: number, x1: number, y1: number): void {
    if (y0 === y1) return;
    const [direction, top, bottom] = y0 < y1 ? [1, y0, y1] : [-1, y1, y0];
    const slope = (x1 - x0) / (y1 - y0);
    const xAt = (y: number): number => x0 + (y - y0) * slope;
    const last = Math.min(Math.ceil(bottom), this.height);
    for (let row = Math.max(Math.floor(top), 0); row < last; row++) {
      const [from, to] = [Math.max(row, top), Math.min(row + 1, bottom)];
      this.#span(row, (to - from) * direction, xAt(from), xAt(to));
    }
  }

  /** A part of a line within one row, which covers `height` of it (negative upwards). */
  #span(row: number, height: number, a: number, b: number): void {
    const [left, right] = a < b ? [a, b] : [b, a];
    const first = Math.max(Math.floor(left), 0);
    const last = Math.min(Math.floor(right), this.width - 1);
    for (let column = first; column <= last; column++) {
      const [from, to] = [Math.max(left, column), Math.min(right, column + 1)];
      const share = right === left ? height : (height * (to - from)) / (right - left);
      const covered = share * (column + 1 - (from + to) / 2);
      this.#add(row, column, covered);
      this.#add(row, column + 1, share - covered);
    }
  }

  #add(row: number, column: number, change: number): void {
    const at = row * (this.width + 1) + column;
    this.#changes[at] = (this.#changes[at] ?? 0) + change;
  }

  coverage(): Float32Array {
    const result = new Float32Array(this.width * this.height);
    for (let row = 0; row < this.height; row++) {
      let sum = 0;
      for (let column = 0; column < this.width; column++) {
        sum += this.#changes[row * (this.width + 1) + column] ?? 0;
        result[row * this.width + column] = Math.min(Math.abs(sum), 1);
      }
    }
    return result;
  }
}
