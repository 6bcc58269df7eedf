/** Colours, numbers, outlines of letters and the places on a page. */
import { COLORMAPS, colorTable, isDiverging } from '../../../lib/visualize/colormap';
import { numbersWidth, textsWidth, THEMES } from '../../../lib/visualize/draw';
import { formatNumbers } from '../../../lib/visualize/numbers';
import { fillText, fitText, textWidth } from '../../../lib/visualize/outlines';
import { type Block, layOut, pleasantColumns, textsOf, textSize } from '../../../lib/visualize/page';

const hex = (table: Uint8ClampedArray, index: number): string =>
  Buffer.from(table.subarray(index * 3, index * 3 + 3)).toString('hex');

/** WCAG's relative luminance. */
function luminance(color: readonly number[]): number {
  const [r = 0, g = 0, b = 0] = color.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: readonly number[], b: readonly number[]): number {
  const [low = 0, high = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

describe('colours', () => {
  // matplotlib.colormaps[name](index) of matplotlib 3.11, rounded.
  it.each([
    ['viridis', '440154', '3b518b', '21918c', 'fde725'],
    ['magma', '000004', '4f127b', 'b73779', 'fcfdbf'],
    ['inferno', '000004', '550f6d', 'bc3754', 'fcffa4'],
    ['coolwarm', '3b4cc0', '8caffe', 'dddcdc', 'b40426'],
  ] as const)('%s is that of matplotlib to within 2 of 255', (name, ...expected) => {
    const table = colorTable(name);
    [0, 63, 128, 255].forEach((index, i) => {
      const wanted = Buffer.from(expected[i] ?? '', 'hex');
      const given = Buffer.from(hex(table, index), 'hex');
      wanted.forEach((value, c) => {
        expect(Math.abs(value - (given[c] ?? NaN))).toBeLessThanOrEqual(2);
      });
    });
  });

  it('get lighter from the first to the last, where they are perceptually uniform', () => {
    for (const name of COLORMAPS.filter((each) => !isDiverging(each))) {
      const table = colorTable(name);
      const steps = Array.from({ length: 256 }, (_, i) => luminance([...table.subarray(i * 3, i * 3 + 3)]));
      // Rounding to bytes can undo a step.
      steps.slice(4).forEach((value, i) => {
        expect(value).toBeGreaterThan(steps[i] ?? NaN);
      });
    }
  });

  it('of text have a contrast of at least 4.5', () => {
    const { light, dark, auto } = THEMES;
    for (const { background, text, faint } of [light, dark])
      for (const color of [text, faint]) expect(contrast(color, background ?? [])).toBeGreaterThan(4.5);
    for (const page of [
      [255, 255, 255],
      [0, 0, 0],
    ])
      expect(contrast(auto.text, page)).toBeGreaterThan(4.5);
  });
});

describe('numbers', () => {
  it.each([
    [
      [0, 1],
      ['0', '1.00'],
    ],
    [
      [-0.11532, 0.5],
      ['−0.115', '0.500'],
    ],
    [
      [-0.139, 0.000581],
      ['−0.139', '0.001'],
    ],
    [
      [-0.139, -0.0000581],
      ['−0.139', '0.000'],
    ],
    [
      [1234.5, 99999],
      ['1235', '99999'],
    ],
    [
      [0, 1.5e-7],
      ['0', '1.50e−7'],
    ],
    [
      [-2.5e9, 1e12],
      ['−2.50e9', '1.00e12'],
    ],
    [
      [0.99991, 0.99994],
      ['0.99991', '0.99994'],
    ],
    [[7], ['7.00']],
    [
      [0, 0.25, 0.5, 0.75, 1],
      ['0', '0.25', '0.50', '0.75', '1.00'],
    ],
    [[0], ['0']],
  ])('%j', (values, expected) => {
    expect(formatNumbers(values)).toEqual(expected);
  });
});

describe('letters', () => {
  const area = (text: string, size: number, offset = 0): number =>
    fillText(text, size, offset).data.reduce((sum, value) => sum + value, 0);

  it('cover the area of their outlines, wherever they stand', () => {
    // The en dash is a rectangle of 360 x 56 thousandths; the bar of the l one of 84 x 735 (see glyphs.json).
    for (const offset of [0, 0.3, 0.77]) expect(area('–', 50, offset)).toBeCloseTo(18 * 2.8, 2);
    expect(area('−', 100)).toBeCloseTo(36 * 5.6, 2);
    // The zero is four quarters of parabolas, each 5/6 of its box, less the same of its hole. Each is drawn as eight chords, which cut off 1/64 of the
    // third of the box between the parabola and its one chord.
    const quarter = 5 / 6 - 1 / 3 / 64;
    expect(area('0', 100) / ((4 * quarter) / 100) / (249 * 359 - 153 * 291)).toBeCloseTo(1, 3);
  });

  it('scale with the size', () => {
    expect(textWidth('token 0', 30)).toBeCloseTo(3 * textWidth('token 0', 10), 6);
    expect(area('token 0', 60) / area('token 0', 20)).toBeCloseTo(9, 1);
  });

  it('differ from each other', () => {
    const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
    const drawn = printable.map((char) => Buffer.from(fillText(char, 24).data.buffer).toString('base64'));
    expect(new Set(drawn).size).toBe(95);
    expect(area(' ', 24)).toBe(0);
    for (const char of printable.slice(1)) expect(area(char, 24)).toBeGreaterThan(2);
  });

  it('are joined with their accents; what the table lacks is a box; controls are spaces', () => {
    const pixels = (text: string): Float32Array => fillText(text, 20).data;
    expect(pixels('e\u0301')).toEqual(pixels('\u00e9'));
    expect(pixels('\u00e9')).not.toEqual(pixels('e'));
    expect(pixels('写')).toEqual(pixels('真'));
    expect(area('写', 20)).toBeGreaterThan(10);
    expect(pixels('a\nb')).toEqual(pixels('a b'));
    expect(fillText('', 20).data.every((value) => value === 0)).toBe(true);
  });

  it('are cut where there is no room', () => {
    expect(fitText('photo.jpg', 14, 1000)).toBe('photo.jpg');
    const cut = fitText('a-very-long-name-of-a-photograph.jpg', 14, 100);
    expect(cut).toMatch(/^a-very.*…$/);
    expect(textWidth(cut, 14)).toBeLessThanOrEqual(100);
    expect(fitText('photo.jpg', 14, 2)).toBe('');
    const upTo = (text: string): number => textWidth(`${text}…`, 14);
    expect(fitText('one two three', 14, upTo('one tw'))).toBe('one tw…');
    expect(fitText('one two three', 14, upTo('one '))).toBe('one…');
    expect(fitText('one two three', 14, textWidth('one two three', 14))).toBe('one two three');
  });

  it('are cut in time that grows with the length of the text alone', () => {
    expect(fitText('long '.repeat(50_000), 14, 100)).toMatch(/^long long .*…$/);
  });
});

describe('pages', () => {
  const square: Block = { tile: { width: 256, height: 256 }, tiles: 9 };
  const style = { columns: 3, text: 14, title: true, headings: true, sharedNumbers: undefined, narrowest: 0 };

  it.each([
    [9, 256, 256, 3],
    [5, 256, 256, 3],
    [17, 256, 256, 5],
    [9, 256, 128, 3],
    [2, 100, 256, 2],
    [1, 256, 256, 1],
  ])('%d tiles of %d x %d stand in %d columns', (tiles, width, height, expected) => {
    expect(pleasantColumns({ tile: { width, height }, tiles })).toBe(expected);
  });

  it.each([
    ['one block', [square], style],
    ['several blocks of other sizes', [square, { tile: { width: 100, height: 200 }, tiles: 9 }], style],
    ['a shared bar', [square], { ...style, sharedNumbers: 40 }],
    ['no texts', [square], { ...style, title: false, headings: false }],
    ['narrow ones', [{ tile: { width: 8, height: 64 }, tiles: 9 }], { ...style, narrowest: 50.5 }],
    [
      'flat ones, a shared bar',
      [{ tile: { width: 64, height: 8 }, tiles: 1 }],
      { ...style, sharedNumbers: 40 },
    ],
    ['more columns than tiles', [square], { ...style, columns: 12 }],
  ])('tiles of %s overlap nowhere and lie on the page', (_, blocks, how) => {
    const page = layOut(blocks, how);
    const boxes = [...page.blocks.flatMap(({ tiles }) => tiles), ...(how.sharedNumbers ? [page.bar] : [])];
    expect(page.blocks.map(({ tiles }) => tiles.length)).toEqual(blocks.map(({ tiles }) => tiles));
    boxes.forEach((a, i) => {
      expect(a.x).toBeGreaterThanOrEqual(page.margin);
      expect(a.y).toBeGreaterThanOrEqual(page.margin);
      expect(a.x + a.width).toBeLessThanOrEqual(page.width - page.margin);
      expect(a.y + a.height).toBeLessThan(page.foot);
      boxes.slice(i + 1).forEach((b) => {
        const apart =
          a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
        expect(apart).toBe(true);
      });
    });
    expect(page.foot).toBeLessThan(page.height);
  });

  it('have room for texts that are wider than their tiles, which stand in the middle', () => {
    const block = { tile: { width: 9, height: 64 }, tiles: 6 };
    const page = layOut([block, { ...square, tiles: 1 }], { ...style, columns: 6, narrowest: 50.5 });
    const [narrow, wide] = page.blocks.map(({ tiles }) => tiles);
    narrow?.forEach((tile, i) => {
      const { x, width } = textsOf(tile, page);
      expect([width, x + 21]).toEqual([51, tile.x]);
      expect(x).toBeGreaterThanOrEqual(page.margin);
      expect(x + width).toBeLessThanOrEqual(page.width - page.margin);
      expect(i === 0 || x - 51 >= textsOf(narrow[i - 1] ?? tile, page).x).toBe(true);
    });
    expect(wide?.map((tile) => textsOf(tile, page))).toEqual([{ x: wide?.[0]?.x, width: 256 }]);
  });

  it('have a shared bar with room for its numbers', () => {
    const page = layOut([{ tile: { width: 256, height: 32 }, tiles: 1 }], { ...style, sharedNumbers: 40 });
    expect(page.bar.height).toBeGreaterThan(5 * style.text);
    expect(page.bar.y + page.bar.height).toBeLessThan(page.foot - style.text);
  });

  it('know what the labels and the numbers of a map take', () => {
    const numbers = (value: number): number => numbersWidth([value, value], 20);
    expect(textsWidth(['a', 'token 0'], [], 20)).toBe(textWidth('token 0', 20));
    const both = textsWidth([], [[0, 0], [-1.25, 2.5]], 20); // prettier-ignore
    expect(both - numbers(-1.25) - numbers(2.5)).toBeGreaterThan(5);
    expect(textsWidth([], [[-1.25, -1.25]], 20)).toBe(numbers(-1.25));
  });

  it('have text that fits the tiles', () => {
    expect([32, 192, 256, 512, 4096].map(textSize)).toEqual([10, 11, 14, 28, 40]);
  });
});
