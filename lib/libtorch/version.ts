/** A libtorch version such as `2.13.0+cpu`. */
export interface TorchVersion {
  /** `2.13.0` */
  release: string;
  numbers: readonly [major: number, minor: number, patch: number];
  /** What follows the plus sign, such as `cpu` or `cu130`; null where there is none. */
  variant: string | null;
}

/** null when the text is no version. */
export function parseVersion(text: string): TorchVersion | null {
  const match = /^(\d+)\.(\d+)(?:\.(\d+))?[^+\s]*(?:\+(\S+))?$/.exec(text.trim());
  if (match === null) return null;
  const numbers = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)] as const;
  return { release: numbers.join('.'), numbers, variant: match[4] ?? null };
}

/** Negative when `a` is older than `b`. Variants do not count. */
export function compareVersions(a: TorchVersion, b: TorchVersion): number {
  for (const [i, number] of a.numbers.entries()) {
    const difference = number - (b.numbers[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
