/** Colour maps. Pure. */

/** A colour map: 'viridis', 'magma' and 'inferno' go from dark to light; 'coolwarm' has its middle at zero, unless the range is two numbers. */
export type Colormap = 'viridis' | 'magma' | 'inferno' | 'coolwarm';

/**
 * Every fifth of the 256 colours of matplotlib's maps of these names, as RGB in hexadecimal. viridis, magma and inferno are perceptually uniform
 * (CC0); coolwarm is Moreland's diverging map.
 */
const TABLES: Readonly<Record<Colormap, readonly string[]>> = {
  viridis: [
    '440154 46085c 471063 481769 481d6f 482475 472a7a 46307e 453781 433d84 414287 3f4889 3d4e8a',
    '3a538b 38598c 355e8d 33638d 31688e 2e6d8e 2c718e 2a768e 297b8e 27808e 25848e 23898e 218e8d',
    '20928c 1f978b 1e9c89 1fa188 21a585 24aa83 28ae80 2eb37c 35b779 3dbc74 46c06f 50c46a 5ac864',
    '65cb5e 70cf57 7cd250 89d548 95d840 a2da37 b0dd2f bddf26 cae11f d8e219 e5e419 f1e51d fde725',
  ],
  magma: [
    '000004 02020b 050416 090720 0e0b2b 140e36 1a1042 21114e 29115a 311165 390f6e 420f75 4a1079',
    '52137c 5a167e 621980 6a1c81 721f81 792282 812581 892881 912b81 992d80 a1307e aa337d b2357b',
    'ba3878 c23b75 ca3e72 d2426f d9466b e04c67 e75263 ec5860 f1605d f4695c f7725c f97b5d fb8560',
    'fc8e64 fd9869 fea16e feaa74 feb47b febd82 fec68a fecf92 fed89a fde2a3 fdebac fcf4b6 fcfdbf',
  ],
  inferno: [
    '000004 02020c 050417 0a0722 10092d 160b39 1e0c45 260c51 2f0a5b 380962 400a67 490b6a 510e6c',
    '59106e 61136e 69166e 71196e 781c6d 801f6c 88226a 902568 982766 a02a63 a82e5f b0315b b73557',
    'bf3952 c63d4d cc4248 d34743 d94d3d df5337 e45a31 e9612b ed6925 f1711f f47918 f78212 f98b0b',
    'fa9407 fb9d07 fca60c fcb014 fbba1f fac42a f8cd37 f6d746 f4e156 f2ea69 f2f27d f5f992 fcffa4',
  ],
  coolwarm: [
    '3b4cc0 4055c8 465ecf 4c66d6 536edd 5977e3 5f7fe8 6687ed 6c8ff1 7396f5 7a9df8 81a4fb 88abfd',
    '8fb1fe 96b7ff 9dbdff a3c2fe aac7fd b1cbfc b7cff9 bed2f6 c4d5f3 cad8ef cfdaea d5dbe5 dadce0',
    'dfdbd9 e4d9d2 e9d5cb edd2c3 f0cdbb f2c9b4 f5c4ac f6bea4 f7b89c f7b194 f7aa8c f6a385 f59c7d',
    'f39475 f08b6e ed8366 e97a5f e57058 e16751 dc5d4a d65244 d0473d ca3b37 c32e31 bb1b2c b40426',
  ],
};

export const COLORMAPS = Object.keys(TABLES) as readonly Colormap[];

/** True for a map whose middle stands for zero. */
export function isDiverging(colormap: Colormap): boolean {
  return colormap === 'coolwarm';
}

/** The number of colours in {@link colorTable}. */
export const COLORS = 256;
const STEP = 5;

/** The 256 colours of a map from the lowest to the highest value, three bytes each. */
export function colorTable(colormap: Colormap): Uint8ClampedArray {
  const points = TABLES[colormap].flatMap((line) => line.split(' ')).map((text) => parseInt(text, 16));
  const table = new Uint8ClampedArray(COLORS * 3);
  for (let i = 0; i < COLORS; i++) {
    const below = Math.floor(i / STEP);
    const [low = 0, high = low] = [points[below], points[below + 1]];
    const part = (i % STEP) / STEP;
    [16, 8, 0].forEach((shift, channel) => {
      const [from, to] = [(low >> shift) & 255, (high >> shift) & 255];
      table[i * 3 + channel] = from + (to - from) * part;
    });
  }
  return table;
}
