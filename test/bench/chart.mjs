/**
 * The results as an SVG: for each workload one bar a contender, as long as its time relative to ours. The
 * colours follow the reader's light or dark scheme; the drawing brings its own background, so that it can be read on any page.
 */
import { milliseconds } from './report.mjs';
import { ratio } from './summary.mjs';

const SERIES = [
  { id: 'fused', label: 'tokenlearner', style: 'ours' },
  { id: 'matmul', label: 'floor: its first matrix product alone', style: 'floor' },
  { id: 'ort-node-rewrite', label: 'onnxruntime-node, without the repetition', style: 'a' },
  { id: 'ort-node', label: 'onnxruntime-node', style: 'b' },
  { id: 'compile', label: 'torch.compile', style: 'c' },
  { id: 'eager', label: 'PyTorch eager', style: 'd' },
];
const WIDTH = 860;
const LEFT = 150;
const RIGHT = 64;
const MARGIN = 24;
const LEGEND = 76;
const LEGEND_ROW = 19;
/** An upper bound of the mean width of a letter of the legend, in pixels, whatever font the reader has. */
const LETTER = 7;
const BAR = 9;
const STEP = 11;
const GAP = 16;
const FOOT = 30;
const MOST_TICKS = 8;

const STYLE = `
    text { font-family: system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif; fill: #1f2328 }
    .page { fill: #ffffff } .muted { fill: #59636e } .grid { stroke: #d9dee3 } .floor { fill: #b6d4f7 }
    .ours { fill: #0969da } .a { fill: #8a63d2 } .b { fill: #bf8700 } .c { fill: #9aa4af } .d { fill: #c9d1d9 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 } .page { fill: #0d1117 } .muted { fill: #9198a1 } .grid { stroke: #2a313c } .floor { fill: #1f4a82 }
      .ours { fill: #4493f8 } .a { fill: #ab7df8 } .b { fill: #d29922 } .c { fill: #6e7681 } .d { fill: #484f58 }
    }`;

/** The text of an SVG file. `conditions` is the line under the title: by default that of a run on a CPU. */
export function drawChart(results, conditions = conditionsOf(results)) {
  const series = SERIES.filter(({ id }) => results.workloads.some((workload) => ratio(workload, id)));
  const band = series.length * STEP + GAP;
  const { keys, below: top } = legend(series);
  const bottom = top + results.workloads.length * band;
  const scale = linear(largest(results, series));
  const body = [
    ...title(conditions),
    ...keys,
    ...axis(scale, top, bottom),
    ...results.workloads.flatMap((workload, i) => group(workload, series, top + i * band + GAP / 2, scale)),
  ];
  const height = bottom + FOOT;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `  <title>Time of each contender relative to tokenlearner</title>`,
    `  <style>${STYLE}\n  </style>`,
    `  <rect class="page" width="${WIDTH}" height="${height}" rx="8"/>`,
    ...body.map((line) => `  ${line}`),
    '</svg>',
    '',
  ].join('\n');
}

function largest({ workloads }, series) {
  return Math.max(2, ...workloads.flatMap((each) => series.map(({ id }) => ratio(each, id) ?? 1)));
}

/** From a ratio to an x; the axis starts at zero, so that lengths can be compared. */
function linear(maximum) {
  const position = (value) => LEFT + (value / maximum) * (WIDTH - LEFT - RIGHT);
  const step = Math.ceil(maximum / MOST_TICKS);
  const count = Math.floor(maximum / step);
  return Object.assign(position, { ticks: Array.from({ length: count }, (_, i) => (i + 1) * step) });
}

function conditionsOf({ threads, machine }) {
  return `median of interleaved runs, float32, ${threads} ${threads === 1 ? 'thread' : 'threads'}, ${machine.cpu}`;
}

function title(conditions) {
  return [
    text(MARGIN, 32, 'Time relative to tokenlearner (shorter is faster)', 'font-size="17" font-weight="600"'),
    text(MARGIN, 52, conditions, 'font-size="12" class="muted"'),
  ];
}

/** The legend in as many rows as it needs, and the y below it. */
function legend(series) {
  let [x, y] = [MARGIN, LEGEND];
  const keys = series.flatMap(({ label, style }) => {
    const width = 16 + label.length * LETTER;
    if (x > MARGIN && x + width > WIDTH - MARGIN) [x, y] = [MARGIN, y + LEGEND_ROW];
    const at = x;
    x += width + 16;
    return [
      `<rect class="${style}" x="${at}" y="${y - 10}" width="11" height="11" rx="2"/>`,
      text(at + 16, y, label, 'font-size="12"'),
    ];
  });
  return { keys, below: y + 16 };
}

function axis(scale, top, bottom) {
  return [
    ...scale.ticks.flatMap((tick) => [
      `<line class="grid" x1="${round(scale(tick))}" x2="${round(scale(tick))}" y1="${top}" y2="${bottom}"/>`,
      text(round(scale(tick)), bottom + 16, `${tick}×`, 'font-size="11" text-anchor="middle" class="muted"'),
    ]),
  ];
}

function group(workload, series, top, scale) {
  const height = series.length * STEP;
  const middle = top + height / 2;
  return [
    text(LEFT - 12, middle - 2, workload.name, 'font-size="13" font-weight="600" text-anchor="end"'),
    text(LEFT - 12, middle + 13, workload.shape.join('×'), 'font-size="11" text-anchor="end" class="muted"'),
    ...series.flatMap(({ id, style }, i) => bar(workload, id, style, top + i * STEP, scale)),
  ];
}

function bar(workload, id, style, y, scale) {
  const times = ratio(workload, id);
  if (times === undefined) return [];
  const label =
    id === 'fused' ? `${milliseconds(workload.contenders.fused.medianMs)} ms` : `${times.toFixed(2)}×`;
  const end = Math.max(scale(times), LEFT + 2);
  return [
    `<rect class="${style}" x="${LEFT}" y="${y}" width="${round(end - LEFT)}" height="${BAR}" rx="1.5"/>`,
    text(round(end + 5), y + BAR - 1, label, 'font-size="9.5" class="muted"'),
  ];
}

function text(x, y, content, attributes) {
  return `<text x="${x}" y="${y}" ${attributes}>${content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`;
}

function round(value) {
  return Number(value.toFixed(1));
}
