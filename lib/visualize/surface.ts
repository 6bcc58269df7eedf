/** A page of RGBA pixels to draw on. Pure. */
import { fillText, textWidth } from './outlines';

/** Red, green and blue, from 0 to 255. */
export type Color = readonly [red: number, green: number, blue: number];

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface TextStyle {
  /** In pixels. */
  readonly size: number;
  readonly color: Color;
  /** Which part of the text stands at x. @default 'left' */
  readonly align?: 'left' | 'center' | 'right';
}

export class Surface {
  /** RGBA, rows from the top. */
  readonly data: Uint8ClampedArray;

  /** @param background - null is transparent. */
  constructor(
    readonly width: number,
    readonly height: number,
    background: Color | null,
  ) {
    this.data = new Uint8ClampedArray(width * height * 4);
    if (background !== null) this.fill({ x: 0, y: 0, width, height }, background);
  }

  fill(box: Box, color: Color): void {
    this.paint(box, () => color);
  }

  /** Paints each pixel of a box, whose position in the box is given. */
  paint({ x, y, width, height }: Box, colorAt: (column: number, row: number) => Color): void {
    for (let row = 0; row < height; row++) {
      let at = ((y + row) * this.width + x) * 4;
      for (let column = 0; column < width; column++) {
        const [red, green, blue] = colorAt(column, row);
        this.data[at++] = red;
        this.data[at++] = green;
        this.data[at++] = blue;
        this.data[at++] = 255;
      }
    }
  }

  /** Writes a line of text with its baseline at y. What lies outside the page is left out. */
  text(text: string, x: number, y: number, { size, color, align = 'left' }: TextStyle): void {
    const start = x - textWidth(text, size) * { left: 0, center: 0.5, right: 1 }[align];
    const left = Math.floor(start);
    const { data, width, height, baseline } = fillText(text, size, start - left);
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const cover = data[row * width + column] ?? 0;
        if (cover > 0) this.#blend(left - 1 + column, Math.round(y) - baseline + row, color, cover);
      }
    }
  }

  /** Puts a colour over a pixel that may be transparent. */
  #blend(x: number, y: number, color: Color, cover: number): void {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return;
    const at = (y * this.width + x) * 4;
    const under = (this.data[at + 3] ?? 0) / 255;
    const alpha = cover + under * (1 - cover);
    color.forEach((value, channel) => {
      const below = this.data[at + channel] ?? 0;
      this.data[at + channel] = (value * cover + below * under * (1 - cover)) / alpha;
    });
    this.data[at + 3] = alpha * 255;
  }
}
