/** `visualize`: from a model and its input to a picture of the maps. */
import { setImmediate } from 'node:timers/promises';
import { TokenLearnerError } from '../errors';
import { formatShape } from '../shape';
import { tensorState } from '../tensor/access';
import type { ImageSize } from '../tensor/image-geometry';
import type { AnyTensor } from '../tensor/tensor';
import { drawPage, type Look, numbersWidth, type Subject, textsWidth } from './draw';
import { attentionOf, inputDType, type Maps, rangesOf } from './maps';
import {
  type AttentionModel,
  type Choice,
  checkForward,
  checkInput,
  checkVisualize,
  type PictureSource,
  type Settled,
  settle,
  tileSizeFor,
  type VisualizeFormat,
} from './options';
import { type Block, largestOf, layOut, type Page, pleasantColumns, textSize } from './page';
import { asInput, type Named, readPicture, seenSize, shown } from './pictures';
import { encodePages, type Pages } from './sharp';

/** A picture of attention maps. */
export interface Visualization {
  /** The content of the file; for 'raw' the RGBA pixels, and the pages of an animation one below the other. */
  data: Uint8Array;
  /** The form of `data`. */
  format: VisualizeFormat;
  /** In pixels. */
  width: number;
  /** In pixels; of one page of an animation. */
  height: number;
  /** The pages of an animation; 1 for a still picture. WebP joins equal pages that follow each other. */
  pages: number;
}

/** The widest sheet, in pixels, that puts all tiles of a picture beside each other without being asked to. */
const WIDEST = 2400;
/** The least shorter side of a tile, in parts of the longer one: a map of one row or column can be seen. */
const SHORTEST_SIDE = 1 / 8;
/** WebP and GIF have no more pixels a side. */
const SIDES: Record<VisualizeFormat, number> = {
  png: 2 ** 31 - 1,
  raw: 2 ** 31 - 1,
  webp: 16383,
  gif: 65535,
};
/** The most pixels of a result, of all pages together: 1 GiB of RGBA. */
const MOST_PIXELS = 2 ** 28;

/** What the maps of a picture are laid over. */
interface Ground {
  tile: ImageSize;
  /** RGB pixels of the tile's size. */
  pixels: Uint8ClampedArray;
}

interface Examined {
  maps: Maps;
  /** For each picture; undefined for maps alone. */
  grounds: (Ground | undefined)[];
  names: (string | undefined)[];
}

/** See the public `visualize`. */
export async function visualize(
  model: AttentionModel,
  input: unknown,
  options: unknown,
): Promise<Visualization> {
  checkForward('model', model);
  const choice = checkVisualize(options);
  const checked = checkInput(input, tensorState(input) !== undefined, choice);
  const examined =
    'tensor' in checked
      ? await examineTensor(model, checked.tensor, choice)
      : await examinePictures(model, checked.sources, choice);
  const covered = examined.grounds.some((each) => each !== undefined);
  return render(model, examined, choice, settle(choice, examined.maps.length, covered));
}

/** A picture's tile; the picture itself may be large. */
async function groundOf({ pixels }: Named, { input }: Choice, tileSize: number): Promise<Ground> {
  const tile = tileOf(seenSize(pixels, input), tileSize);
  return { tile, pixels: await shown(pixels, input, tile) };
}

async function examineTensor(model: AttentionModel, tensor: AnyTensor, choice: Choice): Promise<Examined> {
  const maps = await attentionOf(model, tensor, choice);
  const sources = choice.picture ?? [];
  if (choice.picture !== undefined && sources.length !== 1 && sources.length !== maps.length) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected ${maps.length === 1 ? 1 : `1 or ${maps.length}`} of \`options.picture\` for a tensor of shape ${formatShape(tensor.shape)} but received ${sources.length}`,
    );
  }
  const tileSize = tileSizeFor(choice, maps.length);
  const [grounds, names]: [Ground[], (string | undefined)[]] = [[], []];
  for (const source of sources) {
    const picture = await readPicture('options.picture', source, choice.grayscale);
    grounds.push(await groundOf(picture, choice, tileSize));
    names.push(picture.name);
  }
  const shared = grounds.length === 1;
  return {
    maps,
    grounds: maps.map((_, i) => grounds[shared ? 0 : i]),
    names: maps.map((_, i) => (shared && maps.length > 1 ? undefined : names[i])),
  };
}

async function examinePictures(
  model: AttentionModel,
  sources: readonly PictureSource[],
  choice: Choice,
): Promise<Examined> {
  const examined: Examined = { maps: [], grounds: [], names: [] };
  for (const [i, source] of sources.entries()) {
    const argument = sources.length === 1 ? 'input' : `input[${i}]`;
    const picture = await readPicture(argument, source, choice.grayscale);
    const x = await asInput(picture.pixels, choice.input, inputDType(choice.backbone ?? model));
    const [maps, more] = await attentionOf(model, x, choice).catch((error: unknown) => {
      throw choice.backbone === undefined ? withoutBackbone(error, picture) : error;
    });
    x.dispose();
    if (maps === undefined || more !== undefined) {
      throw new TokenLearnerError(
        'ERR_SHAPE_MISMATCH',
        'Expected attention maps of one picture, (1, G, H, W) or (G, H, W), for one picture',
      );
    }
    examined.maps.push(maps);
    examined.grounds.push(await groundOf(picture, choice, tileSizeFor(choice, sources.length)));
    examined.names.push(picture.name);
  }
  return examined;
}

/** Tells what a picture needs that the model cannot take. */
function withoutBackbone(error: unknown, { pixels }: Named): unknown {
  const { code, message } = error as Partial<TokenLearnerError>;
  if (code !== 'ERR_SHAPE_MISMATCH') return error;
  return new TokenLearnerError(
    code,
    `A picture has ${pixels.channels} ${pixels.channels === 1 ? 'channel' : 'channels'}, which this model does not take: give \`options.backbone\`, a ` +
      `module that turns pictures into the model's features, or give the features. The model says: ${message ?? ''}`,
    { cause: error },
  );
}

function tileOf({ width, height }: ImageSize, tileSize: number): ImageSize {
  const scale = tileSize / Math.max(width, height);
  const least = Math.round(tileSize * SHORTEST_SIDE);
  return {
    width: Math.max(Math.round(width * scale), least),
    height: Math.max(Math.round(height * scale), least),
  };
}

function captionsOf({ maps, names }: Examined, { captions }: Choice, animated: boolean): string[] {
  const word = animated ? 'frame' : 'picture';
  return maps.map((_, i) => captions?.[i] ?? names[i] ?? (maps.length === 1 ? word : `${word} ${i}`));
}

function columnsOf(blocks: readonly Block[], { columns }: Choice, narrowest: number): number {
  const [{ tile, tiles } = { tile: { width: 1, height: 1 }, tiles: 1 }] = blocks;
  const block = { tile: { ...tile, width: Math.max(tile.width, narrowest) }, tiles };
  if (columns !== undefined) {
    if (columns <= block.tiles) return columns;
    throw new TokenLearnerError(
      'ERR_OUT_OF_RANGE',
      `Expected at most ${block.tiles} for \`options.columns\`, the picture and the maps, but received ${columns}`,
    );
  }
  const inOneLine = blocks.length > 1 && block.tiles * block.tile.width <= WIDEST;
  return inOneLine ? block.tiles : pleasantColumns(block);
}

async function render(
  model: AttentionModel,
  examined: Examined,
  choice: Choice,
  settled: Settled,
): Promise<Visualization> {
  const { maps, grounds } = examined;
  const { opacity, delay } = settled;
  const animated = settled.animated && maps.length > 1;
  const { range, theme, colormap, title, format } = choice;
  const ranges = rangesOf(maps, range, animated, colormap);
  const shared = range === 'token' ? undefined : ranges[0]?.[0];
  const tileSize = tileSizeFor(choice, maps.length);
  const text = textSize(tileSize);
  const look: Look = {
    ...{ theme, colormap, opacity, text, title, shared },
    headings: grounds[0] === undefined && (maps.length > 1 || choice.captions !== undefined),
    foot: footOf(model, maps, choice, animated),
    labels: (maps[0] ?? []).map((_, g) => `token ${choice.tokens?.[g] ?? g}`),
  };
  const blocks = maps.map((each, i): Block => {
    const [map = { width: 1, height: 1 }] = each;
    const tile = grounds[i]?.tile ?? tileOf(map, tileSize);
    return { tile, tiles: each.length + (grounds[i] === undefined ? 0 : 1) };
  });
  const placed = animated ? [largest(blocks)] : blocks;
  const narrowest = textsWidth(look.labels, shared === undefined ? new Set(ranges.flat()) : [], text);
  const page = layOut(placed, {
    columns: columnsOf(placed, choice, narrowest),
    text,
    title: title !== undefined,
    headings: look.headings,
    sharedNumbers: shared && numbersWidth(shared, text),
    narrowest,
  });
  checkSize(page, animated ? maps.length : 1, format);
  const captions = captionsOf(examined, choice, animated);
  const subjects = maps.map((each, i): Subject => ({
    caption: captions[i] ?? '',
    picture: grounds[i]?.pixels,
    maps: each,
    ranges: ranges[i] ?? [],
  }));
  const pages = animated
    ? await animation(page, subjects, blocks, look)
    : { data: drawPage(page, subjects, look).data, count: 1 };
  const { width, height } = page;
  const { data, count } =
    format === 'raw'
      ? { data: new Uint8Array(pages.data.buffer), count: pages.count }
      : await encodePages({ ...pages, width, height, transparent: theme === 'auto' }, format, delay);
  return { data, format, width, height, pages: count };
}

function footOf(model: AttentionModel, maps: Maps, { range }: Choice, animated: boolean): string {
  const [first = []] = maps;
  const sizes = [...new Set(maps.flat().map(({ width, height }) => `${height} × ${width}`))];
  const name = classOf(model);
  const each = animated ? 'each token has its own range' : 'each map has its own range';
  const scale = range === 'token' ? each : range === 'shared' ? 'one range for all maps' : 'a fixed range';
  const count = `${first.length} ${first.length === 1 ? 'map' : 'maps'}`;
  return `${name === '' ? '' : `${name}, `}${count} of ${sizes.join(' and ')}; ${scale}`;
}

/** The name of a model's class; '' if it has none, as a module namespace and an anonymous class. */
function classOf(model: object): string {
  const { name } = Object(model.constructor) as { name?: unknown };
  return typeof name === 'string' && name !== 'Object' ? name : '';
}

/** A block that has room for each of some. */
function largest(blocks: readonly Block[]): Block {
  return {
    tile: {
      width: largestOf(blocks, ({ tile }) => tile.width),
      height: largestOf(blocks, ({ tile }) => tile.height),
    },
    tiles: largestOf(blocks, ({ tiles }) => tiles),
  };
}

function checkSize({ width, height }: ImageSize, count: number, format: VisualizeFormat): void {
  const side = SIDES[format];
  if (width <= side && height <= side && width * height * count <= MOST_PIXELS) return;
  const what = count === 1 ? `${width} x ${height} pixels` : `${count} pages of ${width} x ${height} pixels`;
  const limit = Math.max(width, height) > side ? `${side} a side` : `${MOST_PIXELS} in all`;
  throw new TokenLearnerError(
    'ERR_OUT_OF_RANGE',
    `Expected a result of at most ${limit} but it would have ${what}: give fewer pictures, \`options.tokens\` or a smaller \`options.tileSize\``,
  );
}

/** Draws a page for each picture, one below the other. */
async function animation(
  page: Page,
  subjects: readonly Subject[],
  blocks: readonly Block[],
  look: Look,
): Promise<Pick<Pages, 'data' | 'count'>> {
  const size = page.width * page.height * 4;
  const data = new Uint8ClampedArray(size * subjects.length);
  for (const [i, subject] of subjects.entries()) {
    const own = { ...page, blocks: page.blocks.map((block) => centered(block, blocks[i])) };
    data.set(drawPage(own, [subject], look).data, i * size);
    // Other work of the event loop has its turn between pages.
    await setImmediate();
  }
  return { data, count: subjects.length };
}

/** The places of smaller tiles, in the middle of those of the largest. */
function centered(block: Page['blocks'][number], own: Block | undefined): Page['blocks'][number] {
  const tiles = block.tiles.map((box) => {
    const { width, height } = own?.tile ?? box;
    const [x, y] = [
      box.x + Math.floor((box.width - width) / 2),
      box.y + Math.floor((box.height - height) / 2),
    ];
    return { x, y, width, height };
  });
  return { ...block, tiles };
}
