/** Draws pages. Pure. */
import { colorTable, COLORS, type Colormap } from './colormap';
import type { Range } from './maps';
import { formatNumbers } from './numbers';
import { fitText, textWidth } from './outlines';
import { largestOf, type Page, surroundings, textsOf } from './page';
import { luminance } from './pictures';
import { type Grid, resample } from './resample';
import { type Box, type Color, Surface } from './surface';

/** What a page shows of one picture. */
export interface Subject {
  readonly caption: string;
  /** RGB pixels of the tile's size. */
  readonly picture: Uint8ClampedArray | undefined;
  readonly maps: readonly Grid[];
  readonly ranges: readonly Range[];
}

export interface Look {
  readonly theme: 'light' | 'dark' | 'auto';
  readonly colormap: Colormap;
  readonly opacity: number;
  readonly text: number;
  readonly title: string | undefined;
  readonly foot: string;
  /** The names of the tokens. */
  readonly labels: readonly string[];
  readonly headings: boolean;
  /** The range of the bar that all maps share; undefined if each has a bar of its own. */
  readonly shared: Range | undefined;
}

interface Theme {
  background: Color | null;
  text: Color;
  faint: Color;
}

/** Text has a contrast of at least 4.5 to 1 with its background; for 'auto', with white and with black. */
export const THEMES: Record<Look['theme'], Theme> = {
  light: { background: [255, 255, 255], text: [31, 35, 40], faint: [89, 99, 110] },
  dark: { background: [13, 17, 23], text: [230, 237, 243], faint: [145, 152, 161] },
  auto: { background: null, text: [118, 118, 118], faint: [118, 118, 118] },
};

/** The numbers at the shared bar, in parts of its length. */
const TICKS = [0, 0.25, 0.5, 0.75, 1];
/** Numbers and the line at the bottom are smaller than captions. */
const SMALL = 0.86;
const LARGE = 1.3;
/** The least room between two numbers, in parts of the text's size. */
const BETWEEN = 0.6;

/** The texts at the shared bar, from the last colour to the first. */
export function sharedNumbers([min, max]: Range): string[] {
  return formatNumbers(min === max ? [min] : TICKS.map((part) => max + (min - max) * part));
}

/** The width of the shared bar's numbers in pixels. */
export function numbersWidth(range: Range, text: number): number {
  return largestOf(sharedNumbers(range), (number) => textWidth(number, text * SMALL));
}

/** The numbers at a map's own bar: both ends, or the only value. */
function ownNumbers([min, max]: Range): string[] {
  return formatNumbers(min === max ? [min] : [min, max]);
}

/**
 * The width in pixels that the labels of maps take, and the numbers at bars of their own.
 *
 * @param ranges - of the bars; none for a bar that all maps share
 */
export function textsWidth(labels: readonly string[], ranges: Iterable<Range>, text: number): number {
  const widths = Array.from(ranges, (range) => {
    const numbers = ownNumbers(range).map((number) => textWidth(number, text * SMALL));
    return numbers.reduce((sum, width) => sum + width + text * BETWEEN, -text * BETWEEN);
  });
  return largestOf([...labels.map((label) => textWidth(label, text)), ...widths], (width) => width);
}

/** Draws one page. */
export function drawPage(page: Page, subjects: readonly Subject[], look: Look): Surface {
  const theme = THEMES[look.theme];
  const surface = new Surface(page.width, page.height, theme.background);
  const colors = colorTable(look.colormap);
  const whole = page.width - 2 * page.margin;
  const line = (text: string, y: number, size: number, color: Color, width = whole): void => {
    surface.text(fitText(text, size, width), page.margin, y, { size, color });
  };
  if (look.title !== undefined) line(look.title, page.title, look.text * LARGE, theme.text);
  line(look.foot, page.foot, look.text * SMALL, theme.faint);
  const pen = { look, theme, colors, page };
  // The shared bar stands beside all blocks.
  const beside = look.shared === undefined ? whole : page.bar.x - page.margin;
  subjects.forEach((subject, i) => {
    const block = page.blocks[i];
    if (block === undefined) return;
    if (look.headings) line(subject.caption, block.heading, look.text, theme.text, beside);
    drawSubject(surface, subject, block.tiles, pen);
  });
  if (look.shared !== undefined) drawSharedBar(surface, page.bar, look.shared, pen);
  return surface;
}

interface Pen {
  look: Look;
  theme: Theme;
  colors: Uint8ClampedArray;
  page: Page;
}

function drawSubject(surface: Surface, subject: Subject, boxes: readonly Box[], pen: Pen): void {
  const { picture, caption, maps, ranges } = subject;
  const first = picture === undefined ? 0 : 1;
  const [box] = boxes;
  if (picture !== undefined && box !== undefined) {
    surface.paint(box, (x, y) => colorAt(picture, y * box.width + x));
    drawCaption(surface, caption, box, pen);
  }
  maps.forEach((map, g) => {
    const place = boxes[first + g];
    const range = ranges[g];
    if (place === undefined || range === undefined) return;
    drawMap(surface, place, { map, range, picture }, pen);
    drawCaption(surface, pen.look.labels[g] ?? '', place, pen);
    if (pen.look.shared === undefined) drawBar(surface, place, range, pen);
  });
}

function drawCaption(surface: Surface, caption: string, tile: Box, { look, theme, page }: Pen): void {
  const { x, width } = textsOf(tile, page);
  const text = fitText(caption, look.text, width);
  surface.text(text, x, tile.y - surroundings(look.text).caption, { size: look.text, color: theme.text });
}

function colorAt(table: Uint8ClampedArray, index: number): Color {
  return [table[index * 3] ?? 0, table[index * 3 + 1] ?? 0, table[index * 3 + 2] ?? 0];
}

/** The index of a value's colour. Where the range is a single value, that is the middle one. */
function colorIndex(value: number, [min, max]: Range): number {
  const part = max > min ? (value - min) / (max - min) : 0.5;
  return Math.round(Math.min(Math.max(part, 0), 1) * (COLORS - 1));
}

interface MapTile {
  map: Grid;
  range: Range;
  picture: Uint8ClampedArray | undefined;
}

/** A map over the picture in grey, whose own colours would be taken for the map's. */
function drawMap(surface: Surface, box: Box, { map, range, picture }: MapTile, { colors, look }: Pen): void {
  const values = resample(map, box.width, box.height);
  const { opacity } = look;
  surface.paint(box, (x, y) => {
    const at = y * box.width + x;
    const color = colorAt(colors, colorIndex(values[at] ?? 0, range));
    if (picture === undefined) return color;
    const grey = luminance(...colorAt(picture, at));
    const mix = (channel: number): number => grey + (channel - grey) * opacity;
    return [mix(color[0]), mix(color[1]), mix(color[2])];
  });
}

/** A map's own bar below it, with the two ends of its range. */
function drawBar(surface: Surface, tile: Box, range: Range, { look, theme, colors, page }: Pen): void {
  const { bar, numbers } = surroundings(look.text);
  const below = tile.y + tile.height;
  const { x, width } = textsOf(tile, page);
  surface.paint({ x, y: below + bar.y, width, height: bar.height }, (at) =>
    colorAt(colors, barIndex(at, width)),
  );
  const style = { size: look.text * SMALL, color: theme.faint };
  const [low = '', high] = ownNumbers(range);
  if (high === undefined) {
    surface.text(low, x + width / 2, below + numbers, { ...style, align: 'center' });
    return;
  }
  surface.text(low, x, below + numbers, style);
  surface.text(high, x + width, below + numbers, { ...style, align: 'right' });
}

/** The colour at a position of a bar of `length` pixels. */
function barIndex(position: number, length: number): number {
  return length === 1 ? COLORS - 1 : Math.round((position / (length - 1)) * (COLORS - 1));
}

function drawSharedBar(surface: Surface, bar: Box, range: Range, { look, theme, colors }: Pen): void {
  surface.paint(bar, (_, y) => colorAt(colors, COLORS - 1 - barIndex(y, bar.height)));
  const size = look.text * SMALL;
  const numbers = sharedNumbers(range);
  const x = bar.x + bar.width + Math.round(look.text * 0.4);
  numbers.forEach((number, i) => {
    const part = numbers.length === 1 ? 0.5 : (TICKS[i] ?? 0);
    // The first and the last number stay beside the bar.
    const middle = bar.y + size * 0.36 + part * (bar.height - size * 0.72);
    surface.text(number, x, middle + size * 0.36, { size, color: theme.faint });
  });
}
