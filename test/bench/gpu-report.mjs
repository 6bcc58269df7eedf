/** The results of one GPU as text and as a chart. `results` is what combineReports gives. */
import { drawChart } from './chart.mjs';
import { baseNameOf } from './gpu-results.mjs';
import { markdownTable, milliseconds } from './report.mjs';
import { WORKLOADS } from './workloads.mjs';

const CPU_IMAGE = /^!\[[^\]]*\]\(test\/bench\/results\/cpu\.svg\)$/m;
const GPU_IMAGES = /\n\n!\[[^\]]*\]\(test\/bench\/results\/gpu-[^)]*\.svg\)/g;

/** The mode that the chart shows, where it was measured. */
const CHART_MODE = 'bfloat16';

const PEERS = ['grouped-conv', 'eager', 'compile', 'matmul'];

/** Markdown: a section of BENCHMARKS.md. */
export function gpuMarkdown(results) {
  const { card, computeCapability, driver, versions, libtorch, date, commit, checks, queue } = results;
  const { rows, compileRows, host, batcher, serve = [], kernels } = results;
  const { cuda, cudnn, torch, ...others } = versions;
  const software = Object.entries({ ...others, libtorch, torch }).map(
    ([name, version]) => `${name} ${version}`,
  );
  const compiled = [
    '',
    'With `torch.compile` (max-autotune), in a run of its own:',
    '',
    ...table(compileRows),
  ];
  return [
    `### ${card}`,
    '',
    image(card),
    '',
    `- **Machine**: ${card}, compute capability ${computeCapability}; driver ${driver}, CUDA ${cuda}, cuDNN ${cudnn}`,
    `- **Software**: ${software.join(', ')}`,
    `- **Run**: ${date.slice(0, 16).replace('T', ' ')} UTC, commit ${commit ?? 'unknown'}`,
    `- **Right**: all checks passed in the same run: ${inWords(Object.entries(checks).map(([name, count]) => `${count} of ${name}`))}`,
    '',
    `Median milliseconds by the wall clock, from a tensor on the GPU to a tensor on the GPU, and how many times that of \`fused\` this is. Latency is the time`,
    `of one forward that the thread waits for (ours by \`forwardSync\`; "awaited" is ours by \`await forward\`); throughput is the time per forward when ${queue} are`,
    'submitted together. All contenders of a row have the same number of samples. `matmul` is the first of the two products alone, by cuBLAS.',
    '',
    ...table(rows),
    '',
    'Geometric means over the workloads, PyTorch eager by `fused`:',
    '',
    ...meansTable(rows),
    ...(compileRows.length > 0 ? compiled : []),
    ...(host.length > 0 ? hostTable(host) : []),
    ...(batcher.length > 0 ? batcherTable(batcher) : []),
    ...(serve.length > 0 ? serveTable(serve) : []),
    ...(kernels.length > 0 ? kernelTable(kernels) : []),
    '',
  ].join('\n');
}

function inWords(items) {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

function image(card) {
  return `![Time of each contender relative to tokenlearner on ${card}](test/bench/results/${baseNameOf(card)}.svg)`;
}

function table(rows) {
  const peers = PEERS.filter((id) => rows.some(({ contenders }) => contenders[id] !== undefined));
  const columns = ['latencyMs', 'throughputMs'].flatMap((key) =>
    ['fused', ...peers].map((id) => ({ id, key })),
  );
  const awaited = rows.some(({ contenders }) => contenders.fused.awaitedMs !== undefined);
  const head = columns.map(({ id, key }) => `${id}, ${key === 'latencyMs' ? 'latency' : 'throughput'}`);
  const cells = rows.map((row) => [
    `${row.workload} ${row.mode}`,
    ...(awaited ? [milliseconds(row.contenders.fused.awaitedMs)] : []),
    ...columns.map((column) => cell(row.contenders, column)),
    row.tflops.toFixed(1),
    row.contenders.fused.samples,
  ]);
  return markdownTable(
    ['workload', ...(awaited ? ['fused, awaited'] : []), ...head, 'TFLOP/s of its first product', 'samples'],
    cells,
  );
}

/** One row a mode. */
function meansTable(rows) {
  const times = (key) => (row) => row.contenders.eager[key] / row.contenders.fused[key];
  const mean = (values) => Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
  const modes = [...new Set(rows.map(({ mode }) => mode))];
  return markdownTable(
    ['precision', 'latency', 'throughput', 'least, of both'],
    modes.map((mode) => {
      const own = rows.filter((row) => row.mode === mode);
      const ratios = ['latencyMs', 'throughputMs'].map((key) => own.map(times(key)));
      return [mode, ...[...ratios.map(mean), Math.min(...ratios.flat())].map((x) => `${x.toFixed(2)}×`)];
    }),
  );
}

/** Tables of objects with the same keys, one a row. */
function plainTable(text, head, cells) {
  return ['', text, '', ...markdownTable(head, cells)];
}

function hostTable(host) {
  const ids = Object.keys(host[0].us);
  return plainTable(
    "Microseconds from a tensor in the host's memory to one there. `copies` are PyTorch's two copies alone, from and to page-locked memory; `eager-host` is PyTorch eager with its own copies:",
    ['workload', ...ids],
    host.map(({ workload, mode, us }) => [`${workload} ${mode}`, ...ids.map((id) => us[id].toFixed(0))]),
  );
}

function batcherTable(batcher) {
  const ids = Object.keys(batcher[0]).filter((id) => id !== 'case');
  return plainTable(
    "The batcher in float32, with 64 callers whose inputs are in the host's memory, against forwards of all 64 inputs that are already joined in memory (mixed sizes: one forward for each size):",
    ['case', ...ids],
    batcher.map((row) => [row.case, ...ids.map((id) => row[id])]),
  );
}

/** One row a workload, one column a contender of bench:serve. */
function serveTable(serve) {
  const ids = Object.keys(serve[0].contenders);
  const figures = ({ closed }) => `${closed.throughput.toFixed(0)} (${closed.p99Ms.toFixed(1)} ms)`;
  return plainTable(
    'Answers per second to 64 clients of another process over loopback, and the 99th percentile of their latency. `batcher` and `forward` are a plain HTTP server around the Batcher and around `model.forward`; the others are the server:',
    ['case', ...ids],
    serve.map(({ name, shape, contenders }) => [
      `${name} (${shape.join('×')})`,
      ...ids.map((id) => figures(contenders[id])),
    ]),
  );
}

/** One row a workload, one column a precision. */
function kernelTable(kernels) {
  const unique = (key) => [...new Set(kernels.map((each) => each[key]))];
  const precisions = unique('precision');
  const of = (workload, precision) =>
    kernels.find((each) => each.workload === workload && each.precision === precision);
  const shown = ({ variant, ms, tflops }) => `${ms.toFixed(4)} (${variant}, ${tflops.toFixed(0)} TFLOP/s)`;
  return plainTable(
    'The kernels alone, by device events: milliseconds of a forward, its kernel, and the rate of its first product:',
    ['workload', ...precisions],
    unique('workload').map((workload) => [
      workload,
      ...precisions.map((precision) => {
        const found = of(workload, precision);
        return found === undefined ? '–' : shown(found);
      }),
    ]),
  );
}

function cell(contenders, { id, key }) {
  const time = contenders[id]?.[key];
  if (time === undefined) return '–';
  if (id === 'fused') return `**${milliseconds(time)}**`;
  return `${milliseconds(time)} (${(time / contenders.fused[key]).toFixed(2)}×)`;
}

/** The throughput of one mode, as an SVG file's text. */
export function gpuChart({ card, queue, rows }) {
  const mode = rows.some((row) => row.mode === CHART_MODE) ? CHART_MODE : rows[0].mode;
  const workloads = rows
    .filter((row) => row.mode === mode)
    .map(({ workload, contenders }) => ({
      name: workload,
      shape: WORKLOADS.find(({ name }) => name === workload).shape,
      contenders: Object.fromEntries(
        Object.entries(contenders).map(([id, { throughputMs }]) => [id, { medianMs: throughputMs }]),
      ),
    }));
  return drawChart(
    { workloads },
    `median of interleaved runs, ${mode}, ${queue} forwards at a time, ${card}`,
  );
}

/** README.md's text with the charts of these cards below that of the CPU. */
export function intoReadme(readme, gpus) {
  const images = gpus.map(({ card }) => `\n\n${image(card)}`).join('');
  const bare = readme.replace(GPU_IMAGES, '');
  if (!CPU_IMAGE.test(bare)) throw new Error('README.md has lost its chart');
  return bare.replace(CPU_IMAGE, (found) => found + images);
}
