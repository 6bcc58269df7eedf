// The demo's picture: a row a digit; the image, then what each token attends to, laid over the digit's outline.
import { Canvas } from './canvas.mjs';

const BACKGROUND = [16, 18, 24];
const TEXT = [226, 230, 238];
const FAINT = [122, 130, 146];
const TILE = 112;
const GAP = 10;
const MARGIN = 28;
const LABEL = 44;
const HEADER = 40;

// Control points of a perceptually even dark-to-light ramp (black, indigo, magenta, orange, pale yellow).
const RAMP = [
  [8, 8, 20],
  [42, 18, 86],
  [106, 24, 110],
  [170, 44, 96],
  [224, 92, 62],
  [248, 162, 56],
  [252, 246, 190],
];

/** The ramp's colour at t in [0, 1]. */
function ramp(t) {
  const at = Math.min(Math.max(t, 0), 1) * (RAMP.length - 1);
  const i = Math.min(Math.floor(at), RAMP.length - 2);
  return RAMP[i].map((low, c) => Math.round(low + (RAMP[i + 1][c] - low) * (at - i)));
}

/** Bilinear sample of a `side` x `side` image at u, v in [0, 1). */
function sample(image, side, u, v) {
  const x = Math.min(Math.max(u * side - 0.5, 0), side - 1);
  const y = Math.min(Math.max(v * side - 0.5, 0), side - 1);
  const [x0, y0] = [Math.floor(x), Math.floor(y)];
  const [x1, y1] = [Math.min(x0 + 1, side - 1), Math.min(y0 + 1, side - 1)];
  const row = (j) => image[j * side + x0] * (1 - (x - x0)) + image[j * side + x1] * (x - x0);
  return row(y0) * (1 - (y - y0)) + row(y1) * (y - y0);
}

/** Brings a map to [0, 1]. Maps are signed and unbounded; only the part above zero adds to a token. */
function normalized(map) {
  const high = Math.max(...map);
  const low = high > 0 ? 0 : Math.min(...map);
  return Array.from(map, (value) => (high > low ? Math.max(value - low, 0) / (high - low) : 0));
}

function paintDigit(canvas, x, y, { image, side }) {
  canvas.paint(x, y, TILE, (u, v) => {
    const ink = sample(image, side, u, v);
    return BACKGROUND.map((dark, c) => Math.round(dark + 8 + (TEXT[c] - dark - 8) * ink));
  });
}

function paintMap(canvas, x, y, map, mapSide, { image, side }) {
  const values = normalized(map);
  canvas.paint(x, y, TILE, (u, v) => {
    const ink = sample(image, side, u, v);
    // A faint digit under the map shows which stroke a token reads.
    return ramp(sample(values, mapSide, u, v)).map((channel) =>
      Math.round(channel + (255 - channel) * 0.2 * ink),
    );
  });
}

/**
 * Writes the sheet. Each row: `image` (side x side, 0 to 1), `predicted` (a digit) and `maps` (one per token, mapSide x mapSide).
 */
export function writeSheet(file, rows) {
  const tokens = rows[0].maps.length;
  const width = MARGIN * 2 + LABEL + (TILE + GAP) * (tokens + 1) + GAP;
  const height = MARGIN * 2 + HEADER + (TILE + GAP) * rows.length - GAP;
  const canvas = new Canvas(width, height, BACKGROUND);
  const column = (i) => MARGIN + LABEL + i * (TILE + GAP) + (i > 0 ? GAP : 0);
  const centered = (i, text) => column(i) + Math.round((TILE - Canvas.textWidth(text)) / 2);
  canvas.text(centered(0, 'image'), MARGIN, 'image', FAINT);
  for (let g = 1; g <= tokens; g++) canvas.text(centered(g, `token ${g}`), MARGIN, `token ${g}`, FAINT);
  rows.forEach((row, r) => {
    const y = MARGIN + HEADER + r * (TILE + GAP);
    canvas.text(MARGIN, y + Math.round((TILE - Canvas.textHeight(4)) / 2), String(row.predicted), TEXT, 4);
    paintDigit(canvas, column(0), y, row);
    row.maps.forEach((map, g) => {
      paintMap(canvas, column(g + 1), y, map, row.mapSide, row);
    });
  });
  canvas.save(file);
}
