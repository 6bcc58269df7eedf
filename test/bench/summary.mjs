/** The summary of a run, beside the project's goals. */
import { CONTENDERS, isPeer } from './contenders.mjs';
import { geometricMean } from './statistics.mjs';

/** Up to this many channels the GELU, not the product, decides how near the floor one can come. */
const FEW_CHANNELS = 64;

/**
 * [{what, value, goal, met}]: a sentence, the measured value and the goal as text. Lines without measured contenders are left out.
 *
 * @param results - what bench.mjs collects.
 */
export function summarize(results) {
  const documented = CONTENDERS.filter((each) => isPeer(each) && each.form === 'repeated');
  return [
    ...speedUp(results, 'PyTorch eager, geometric mean', ['eager'], 3.5),
    ...speedUp(
      results,
      'the fastest peer with the documented computation, geometric mean',
      documented.map(({ id }) => id),
      1.35,
    ),
    ...closestPeer(results),
    ...floor(results, 'at least 128', ({ dim }) => dim > FEW_CHANNELS, 1.15),
    ...floor(results, `${FEW_CHANNELS}`, ({ dim }) => dim <= FEW_CHANNELS, 1.5),
    ...memory(results),
    ...overhead(results),
  ];
}

/** How much longer than ours a contender takes; undefined where either was not measured. */
export function ratio({ contenders }, id) {
  const quotient = contenders[id]?.medianMs / contenders.fused?.medianMs;
  return Number.isFinite(quotient) ? quotient : undefined;
}

/** The fastest of some contenders on a workload, {id, ratio}; undefined where none was measured. */
function fastest(workload, ids) {
  return ids
    .map((id) => ({ id, ratio: ratio(workload, id) }))
    .filter((each) => each.ratio !== undefined)
    .sort((a, b) => a.ratio - b.ratio)[0];
}

function speedUp({ workloads }, whom, ids, goal) {
  const ratios = workloads.map((workload) => fastest(workload, ids)?.ratio);
  if (ratios.length === 0 || ratios.includes(undefined)) return [];
  const value = geometricMean(ratios);
  return [{ what: `Faster than ${whom}`, ...judge(value, 'at least', goal, times) }];
}

function closestPeer({ workloads }) {
  const ids = CONTENDERS.filter(isPeer).map(({ id }) => id);
  const found = workloads
    .map((workload) => ({ name: workload.name, ...fastest(workload, ids) }))
    .filter((each) => each.ratio !== undefined)
    .sort((a, b) => a.ratio - b.ratio)[0];
  if (found === undefined) return [];
  const what = `Faster than any peer, on the workload where one comes closest (${found.id} on ${found.name})`;
  return [{ what, ...judge(found.ratio, 'at least', 1, times) }];
}

function floor({ workloads }, channels, belongs, goal) {
  const found = workloads
    .filter(belongs)
    .map((workload) => ({ name: workload.name, value: 1 / ratio(workload, 'matmul') }))
    .filter(({ value }) => Number.isFinite(value))
    .sort((a, b) => b.value - a.value)[0];
  if (found === undefined) return [];
  const what = `Time of the whole layer by that of its first matrix product alone, C ${channels}, at worst (${found.name})`;
  return [{ what, ...judge(found.value, 'at most', goal, times) }];
}

function memory({ workloads }) {
  const found = workloads.find(({ name }) => name === 'doc-2')?.contenders.fused;
  if (typeof found?.peakMb !== 'number') return [];
  const what = 'Peak resident memory above the process with libtorch loaded, doc-2';
  return [
    {
      what,
      ...judge(found.peakMb - found.baseMb, 'at most', 100, (value, more = 0) => `${value.toFixed(more)} MB`),
    },
  ];
}

function overhead({ overhead: { smallest_us: smallest, handover_us: handover } }) {
  const microseconds = (value, more = 0) => `${value.toFixed(more)} µs`;
  return [
    {
      what: 'A whole awaited `forward` of a single number, median',
      ...judge(smallest, 'at most', 50, microseconds),
    },
    {
      what: 'An awaited `forward` less a `forwardSync` of the same input, medians',
      ...judge(handover, 'at most', 50, microseconds),
    },
  ];
}

function judge(value, direction, goal, format) {
  const met = direction === 'at least' ? value >= goal : value <= goal;
  // A value that is missed by less than its digits show gets more of them.
  const close = !met && format(value) === format(goal);
  return { value: close ? format(value, 2) : format(value), goal: `${direction} ${format(goal)}`, met };
}

function times(value, more = 0) {
  return `${value.toFixed(2 + more)}×`;
}
