/** The results as text: Markdown for the page, and the same for the terminal. */
import { CONTENDERS } from './contenders.mjs';
import { ratio, summarize } from './summary.mjs';

/** Markdown: where and when, the summary, the times, the peak memory. */
export function toMarkdown(results) {
  return [
    ...header(results),
    '',
    ...summary(results),
    '',
    'Median milliseconds, and how many times that of `fused` this is:',
    '',
    ...table(results, time),
    '',
    'Peak resident memory of a process that does nothing else, in MB, and how much of it came after the libraries were loaded' +
      ' (those of onnxruntime in Python hold PyTorch too):',
    '',
    ...table(results, memory),
    '',
  ].join('\n');
}

/** The same tables with their columns aligned. */
export function toTerminal(results) {
  return toMarkdown(results)
    .trimEnd()
    .split('\n\n')
    .map((block) => (block.startsWith('|') ? align(block) : block))
    .join('\n\n');
}

/** Milliseconds in three digits. */
export function milliseconds(value) {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function header({ date, commit, threads, machine, versions, quick }) {
  const caches = Object.entries(machine.caches).map(([name, size]) => `${name} ${size}`);
  const details = [
    `${machine.cores} cores`,
    ...machine.vectorInstructions.slice(-3),
    ...caches,
    `${machine.memoryGb} GB`,
  ];
  const software = Object.entries(versions)
    .filter(([name]) => !['torch_cpu_capability', 'addonBuiltWithCuda'].includes(name))
    .map(([name, version]) => `${name} ${version}`);
  return [
    `- **Machine**: ${machine.cpu}, ${details.join(', ')}; ${machine.system}; load before the start ${machine.load}`,
    `- **Threads** of each contender: ${threads}`,
    `- **Software**: ${software.join(', ')}`,
    `- **Run**: ${date.slice(0, 16).replace('T', ' ')} UTC, commit ${commit ?? 'unknown'}${quick ? ', quick' : ''}`,
  ];
}

function summary(results) {
  const rows = summarize(results).map(({ what, value, goal, met }) => [
    what,
    `**${value}**`,
    `${goal}${met ? '' : ' (missed)'}`,
  ]);
  return markdownTable(['', 'measured', 'goal'], rows);
}

function table(results, cell) {
  const shown = CONTENDERS.filter(({ id }) => results.workloads.some(({ contenders }) => contenders[id]));
  const rows = results.workloads.map((workload) => [
    `${workload.name} (${workload.shape.join('×')})`,
    ...shown.map(({ id }) => cell(workload, id)),
  ]);
  return markdownTable(['workload', ...shown.map(({ id }) => id)], rows);
}

function time(workload, id) {
  const medianMs = workload.contenders[id]?.medianMs;
  if (medianMs === undefined) return '–';
  return id === 'fused'
    ? `**${milliseconds(medianMs)}**`
    : `${milliseconds(medianMs)} (${ratio(workload, id).toFixed(2)}×)`;
}

function memory({ contenders }, id) {
  const { peakMb, baseMb } = contenders[id] ?? {};
  if (typeof peakMb !== 'number') return '–';
  return `${peakMb.toFixed(0)} (+${(peakMb - baseMb).toFixed(0)})`;
}

/** The lines of a Markdown table; all columns but the first are numbers. */
export function markdownTable(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)];
}

function align(block) {
  const rows = block
    .split('\n')
    .filter((_, i) => i !== 1)
    .map((row) => row.slice(2, -2).replaceAll('**', '').split(' | '));
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map((row) =>
      row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  '),
    )
    .join('\n');
}
