/** The places of everything on a page. Pure. */
import type { ImageSize } from '../tensor/image-geometry';
import type { Box } from './surface';

/** A picture with the maps over it, or the maps alone. */
export interface Block {
  /** The size of its tiles. */
  readonly tile: ImageSize;
  /** The maps, and the picture in front of them where there is one. */
  readonly tiles: number;
}

export interface PageStyle {
  readonly columns: number;
  /** The size of the text in pixels, of which all distances are multiples. */
  readonly text: number;
  readonly title: boolean;
  /** A line with the caption above the tiles of each block: where no picture's tile carries it. */
  readonly headings: boolean;
  /** The width of the numbers at the bar that all maps share; undefined if each map has a bar below it. */
  readonly sharedNumbers: number | undefined;
  /** The least width of a tile with its texts: what its label, and the numbers at a bar of its own, take. */
  readonly narrowest: number;
}

export interface Page extends ImageSize {
  readonly margin: number;
  /** The least width of the texts and the bar of a tile, which may be narrower. */
  readonly narrowest: number;
  /** The baselines of the title and of the line at the bottom. */
  readonly title: number;
  readonly foot: number;
  /** For each block the baseline of its heading, and its tiles. */
  readonly blocks: readonly { heading: number; tiles: readonly Box[] }[];
  /** The shared colour bar. */
  readonly bar: Box;
}

/** The sizes in a tile's surroundings, in parts of the text's size. */
const SPACE = {
  margin: 1.6,
  gap: 0.9,
  title: 2.3,
  heading: 1.7,
  caption: 1.45,
  bar: 2.2,
  foot: 1.9,
  thickness: 0.95,
};
/** The longest shared bar, in tiles; and the shortest one, in parts of the text's size: five numbers below each other. */
const LONGEST_BAR = 3;
const SHORTEST_BAR = 6;

/** The size of the text for tiles of a size. */
export function textSize(tileSize: number): number {
  return Math.min(Math.max(Math.round(tileSize / 18), 10), 40);
}

/** The distance of a tile's caption above it, and of the bar and its numbers below it. */
export function surroundings(text: number): {
  caption: number;
  bar: Omit<Box, 'x' | 'width'>;
  numbers: number;
} {
  return {
    caption: Math.round(text * 0.45),
    bar: { y: Math.round(text * 0.35), height: Math.max(Math.round(text * 0.45), 3) },
    numbers: Math.round(text * 1.75),
  };
}

/** The place of a tile's texts and bar from left to right: that of the tile, or around it where it is narrower than they are. */
export function textsOf({ x, width }: Box, { narrowest }: Page): Pick<Box, 'x' | 'width'> {
  if (width >= narrowest) return { x, width };
  return { x: x - Math.floor((narrowest - width) / 2), width: narrowest };
}

/** The number of columns that gives one block pleasant proportions, about 4 to 3, with few empty places. */
export function pleasantColumns({ tile, tiles }: Block): number {
  const cost = (columns: number): number => {
    const rows = Math.ceil(tiles / columns);
    const proportion = (columns * tile.width) / (rows * tile.height);
    return Math.abs(Math.log(proportion / 1.4)) + (columns * rows - tiles) / tiles;
  };
  const all = Array.from({ length: tiles }, (_, i) => i + 1);
  return all.reduce((best, columns) => (cost(columns) < cost(best) ? columns : best), 1);
}

/** The greatest number of some items, of which there may be more than a call has room for. */
export function largestOf<T>(items: readonly T[], number: (item: T) => number, least = 0): number {
  return items.reduce((most, item) => Math.max(most, number(item)), least);
}

/** Places blocks one below the other. */
export function layOut(blocks: readonly Block[], style: PageStyle): Page {
  const part = (of: number): number => Math.round(of * style.text);
  const [margin, gap] = [part(SPACE.margin), part(SPACE.gap)];
  const narrowest = Math.ceil(style.narrowest);
  const cell = largestOf(blocks, ({ tile }) => tile.width, narrowest);
  const columns = Math.min(
    style.columns,
    largestOf(blocks, ({ tiles }) => tiles),
  );
  const right = margin + columns * (cell + gap) - gap;
  let y = margin + (style.title ? part(SPACE.title) : 0);
  const placed = blocks.map(({ tile, tiles }) => {
    const heading = y + part(1);
    if (style.headings) y += part(SPACE.heading);
    const boxes: Box[] = [];
    for (let first = 0; first < tiles; first += columns) {
      y += part(SPACE.caption);
      for (let i = first; i < Math.min(first + columns, tiles); i++)
        boxes.push({
          x: margin + (i - first) * (cell + gap) + Math.floor((cell - tile.width) / 2),
          y,
          ...tile,
        });
      y += tile.height + (style.sharedNumbers === undefined ? part(SPACE.bar) : 0) + gap;
    }
    return { heading, tiles: boxes };
  });
  const [top = margin] = placed[0]?.tiles.map((box) => box.y) ?? [];
  const longest = LONGEST_BAR * (blocks[0]?.tile.height ?? 0);
  const { sharedNumbers } = style;
  const bar = {
    x: right + gap,
    y: top,
    width: part(SPACE.thickness),
    height: Math.max(Math.min(y - gap - top, longest), part(SHORTEST_BAR)),
  };
  const beside = sharedNumbers === undefined ? 0 : gap + bar.width + part(0.4) + Math.ceil(sharedNumbers);
  const bottom = sharedNumbers === undefined ? y - gap : Math.max(y - gap, bar.y + bar.height);
  const foot = bottom + part(SPACE.foot);
  return {
    width: right + beside + margin,
    height: foot + part(0.2) + margin,
    margin,
    narrowest,
    title: margin + part(1.1),
    foot,
    blocks: placed,
    bar,
  };
}
