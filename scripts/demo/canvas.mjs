// A small RGB canvas: rectangles, scaled images and a bitmap font; encoded by pngjs.
import { writeFileSync } from 'node:fs';
import { PNG } from 'pngjs';

// Five columns by seven rows, a bit a pixel, row by row from the top.
const GLYPHS = {
  0: '01110 10001 10011 10101 11001 10001 01110',
  1: '00100 01100 00100 00100 00100 00100 01110',
  2: '01110 10001 00001 00110 01000 10000 11111',
  3: '11111 00010 00100 00010 00001 10001 01110',
  4: '00010 00110 01010 10010 11111 00010 00010',
  5: '11111 10000 11110 00001 00001 10001 01110',
  6: '00110 01000 10000 11110 10001 10001 01110',
  7: '11111 00001 00010 00100 01000 01000 01000',
  8: '01110 10001 10001 01110 10001 10001 01110',
  9: '01110 10001 10001 01111 00001 00010 01100',
  a: '00000 00000 01110 00001 01111 10001 01111',
  d: '00001 00001 01101 10011 10001 10001 01111',
  e: '00000 00000 01110 10001 11111 10000 01110',
  g: '00000 01111 10001 10001 01111 00001 01110',
  i: '00100 00000 01100 00100 00100 00100 01110',
  k: '10000 10000 10010 10100 11000 10100 10010',
  m: '00000 00000 11010 10101 10101 10001 10001',
  n: '00000 00000 10110 11001 10001 10001 10001',
  o: '00000 00000 01110 10001 10001 10001 01110',
  t: '01000 01000 11100 01000 01000 01001 00110',
};
const GLYPH_WIDTH = 5;
const GLYPH_HEIGHT = 7;

export class Canvas {
  #png;

  constructor(width, height, background) {
    this.#png = new PNG({ width, height, colorType: 2 });
    this.fill(0, 0, width, height, background);
  }

  set(x, y, [r, g, b]) {
    const at = (y * this.#png.width + x) * 4;
    this.#png.data.set([r, g, b, 255], at);
  }

  fill(x, y, width, height, color) {
    for (let j = 0; j < height; j++) for (let i = 0; i < width; i++) this.set(x + i, y + j, color);
  }

  /** Paints `size` x `size` pixels; `colorAt(u, v)` gives the colour at u, v in [0, 1). */
  paint(x, y, size, colorAt) {
    for (let j = 0; j < size; j++) {
      for (let i = 0; i < size; i++) this.set(x + i, y + j, colorAt((i + 0.5) / size, (j + 0.5) / size));
    }
  }

  text(x, y, text, color, scale = 2) {
    for (const char of text) {
      const rows = GLYPHS[char]?.split(' ') ?? [];
      rows.forEach((row, j) => {
        [...row].forEach((bit, i) => {
          if (bit === '1') this.fill(x + i * scale, y + j * scale, scale, scale, color);
        });
      });
      x += (GLYPH_WIDTH + 1) * scale;
    }
  }

  static textWidth(text, scale = 2) {
    return text.length * (GLYPH_WIDTH + 1) * scale - scale;
  }

  static textHeight(scale = 2) {
    return GLYPH_HEIGHT * scale;
  }

  save(file) {
    writeFileSync(file, PNG.sync.write(this.#png, { colorType: 2, inputHasAlpha: true, deflateLevel: 9 }));
  }
}
