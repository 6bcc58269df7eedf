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
  const { card, computeCapability, driver, versions, libtorch, date, commit, queue, rows, compileRows } =
    results;
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
    '',
    `Median milliseconds by the wall clock, from a tensor on the GPU to a tensor on the GPU, and how many times that of \`fused\` this is. Latency is the time`,
    `of one forward; throughput is the time per forward when ${queue} are submitted together. All contenders of a row have the same number of samples.`,
    '',
    ...table(rows),
    ...(compileRows.length > 0 ? compiled : []),
    '',
  ].join('\n');
}

function image(card) {
  return `![Time of each contender relative to tokenlearner on ${card}](test/bench/results/${baseNameOf(card)}.svg)`;
}

function table(rows) {
  const peers = PEERS.filter((id) => rows.some(({ contenders }) => contenders[id] !== undefined));
  const columns = ['latencyMs', 'throughputMs'].flatMap((key) =>
    ['fused', ...peers].map((id) => ({ id, key })),
  );
  const head = columns.map(({ id, key }) => `${id}, ${key === 'latencyMs' ? 'latency' : 'throughput'}`);
  const cells = rows.map((row) => [
    `${row.workload} ${row.mode}`,
    ...columns.map((column) => cell(row.contenders, column)),
    row.tflops.toFixed(1),
    row.contenders.fused.samples,
  ]);
  return markdownTable(['workload', ...head, 'TFLOP/s of its first product', 'samples'], cells);
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
