import type { Metric } from 'prom-client';
import type { Buckets } from '../models/figures';

interface Series extends Buckets {
  labels: Record<string, string>;
}

/** A Prometheus histogram of what something else has counted. prom-client's own class can only observe. */
export function snapshotHistogram(name: string, help: string, series: () => readonly Series[]): Metric {
  const get = (): object => ({
    name,
    help,
    type: 'histogram',
    aggregator: 'sum',
    values: series().flatMap((each) => values(name, each)),
  });
  return { name, get: () => Promise.resolve(get()) } as unknown as Metric;
}

function values(name: string, { buckets, sum, labels }: Series): object[] {
  let total = 0;
  const cumulative = buckets
    .filter(({ le, count }) => {
      if (le === Infinity) total += count;
      return le !== Infinity;
    })
    .reduce<{ le: number; below: number }[]>((all, { le, count }) => {
      all.push({ le, below: (all.at(-1)?.below ?? 0) + count });
      return all;
    }, []);
  total += cumulative.at(-1)?.below ?? 0;
  return [
    ...cumulative.map(({ le, below }) => ({
      metricName: `${name}_bucket`,
      labels: { ...labels, le },
      value: below,
    })),
    { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: total },
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: total },
  ];
}
