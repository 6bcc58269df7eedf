/** The results of bench:serve as an SVG: for each workload the goodput of each contender against the offered load. */

const SERIES = [
  { id: 'batcher', label: 'Batcher', colour: ['#0969da', '#4493f8'] },
  { id: 'http-binary', label: 'server, HTTP binary', colour: ['#1a7f37', '#3fb950'] },
  { id: 'grpc', label: 'server, gRPC', colour: ['#8250df', '#ab7df8'] },
  { id: 'http-json', label: 'server, JSON', colour: ['#bf8700', '#d29922'] },
  { id: 'forward', label: 'plain forwards', colour: ['#6e7781', '#9198a1'] },
  { id: 'onnxruntime', label: 'onnxruntime-node, batched by hand', colour: ['#cf222e', '#f85149'] },
];
const WIDTH = 860;
const MARGIN = 24;
const LEFT = 84;
const PLOT = 220;
const GAP = 64;
/** An upper bound of the mean width of a letter of 12 pixels, in pixels, whatever font the reader has. */
const LETTER = 7;
const TICKS = 4;

const style = () =>
  [
    "text { font-family: system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif; fill: #1f2328 }",
    '.page { fill: #ffffff } .muted { fill: #59636e } .grid { stroke: #d9dee3 } .line { fill: none; stroke-width: 2 }',
    ...SERIES.map(({ colour: [light] }, i) => `.s${i} { stroke: ${light} } .f${i} { fill: ${light} }`),
    '@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .page { fill: #0d1117 } .muted { fill: #9198a1 } .grid { stroke: #2a313c }',
    ...SERIES.map(({ colour: [, dark] }, i) => `.s${i} { stroke: ${dark} } .f${i} { fill: ${dark} }`),
    '}',
  ].join('\n    ');

const round = (value) => Number(value.toFixed(1));

function text(x, y, content, attributes = '') {
  const escaped = String(content).replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escaped}</text>`;
}

/** The keys in as many rows as they need, and the y below them. */
function legend(present) {
  let [x, y] = [MARGIN, 76];
  const keys = present.flatMap(({ label, index }) => {
    const width = 16 + label.length * LETTER;
    if (x > MARGIN && x + width > WIDTH - MARGIN) [x, y] = [MARGIN, y + 19];
    const at = x;
    x += width + 16;
    return [
      `<rect class="f${index}" x="${at}" y="${y - 10}" width="11" height="11" rx="2"/>`,
      text(at + 16, y, label, 'font-size="12"'),
    ];
  });
  return { keys, below: y + 20 };
}

/** A number at the top of an axis: 1, 2 or 5 times a power of ten. */
function top(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= value);
}

function plot({ name, contenders }, present, y) {
  const found = present.flatMap(({ id, index }) =>
    contenders[id]?.open === undefined ? [] : [{ index, points: contenders[id].open }],
  );
  const all = found.flatMap(({ points }) => points);
  const highest = top(Math.max(...all.map(({ goodput }) => goodput)));
  const last = Math.max(...all.map(({ load }) => load));
  const toX = (load) => LEFT + (load / last) * (WIDTH - LEFT - MARGIN);
  const toY = (goodput) => y + PLOT - (goodput / highest) * PLOT;
  const grid = Array.from({ length: TICKS + 1 }, (_, i) => (i * highest) / TICKS).flatMap((value) => [
    `<line class="grid" x1="${LEFT}" x2="${WIDTH - MARGIN}" y1="${round(toY(value))}" y2="${round(toY(value))}"/>`,
    text(LEFT - 8, toY(value) + 4, value, 'font-size="11" text-anchor="end" class="muted"'),
  ]);
  const loads = [...new Set(all.map(({ load }) => load))].map((load) =>
    text(toX(load), y + PLOT + 16, `${load}×`, 'font-size="11" text-anchor="middle" class="muted"'),
  );
  const lines = found.flatMap(({ index, points }) => [
    `<polyline class="line s${index}" points="${points.map(({ load, goodput }) => `${round(toX(load))},${round(toY(goodput))}`).join(' ')}"/>`,
    ...points.map(
      ({ load, goodput }) =>
        `<circle class="f${index}" cx="${round(toX(load))}" cy="${round(toY(goodput))}" r="3"/>`,
    ),
  ]);
  return [text(MARGIN, y - 12, name, 'font-size="13" font-weight="600"'), ...grid, ...loads, ...lines];
}

/** The text of the SVG file. */
export function drawServeChart({ workloads, machine, card, deadlineMs }) {
  const present = SERIES.map((each, index) => ({ ...each, index })).filter(({ id }) =>
    workloads.some(({ contenders }) => contenders[id]?.open !== undefined),
  );
  const { keys, below } = legend(present);
  const first = below + 24;
  const body = [
    text(
      MARGIN,
      32,
      `Answers within ${deadlineMs} ms per second, by offered load`,
      'font-size="17" font-weight="600"',
    ),
    text(
      MARGIN,
      52,
      `load in multiples of each contender's own saturation; float32, ${card === undefined ? '' : `${card}, `}${machine.cores} cores, ${machine.cpu}`,
      'font-size="12" class="muted"',
    ),
    ...keys,
    ...workloads.flatMap((each, i) => plot(each, present, first + i * (PLOT + GAP))),
  ];
  const height = first + workloads.length * (PLOT + GAP) - GAP + 32;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    '  <title>Goodput of each contender by offered load</title>',
    `  <style>\n    ${style()}\n  </style>`,
    `  <rect class="page" width="${WIDTH}" height="${height}" rx="8"/>`,
    ...body.map((line) => `  ${line}`),
    '</svg>',
    '',
  ].join('\n');
}
