/** A version such as libtorch's `2.13.0+cpu`, Node's `20.18.1` or glibc's `2.36`. */
export interface Version {
  /** `2.13.0` */
  release: string;
  numbers: readonly [major: number, minor: number, patch: number];
  /** The text after the plus sign, such as `cpu` or `cu130`; null if there is none. */
  variant: string | null;
}

/** Returns null if the text is not a version. */
export function parseVersion(text: string): Version | null {
  const match = /^(\d+)\.(\d+)(?:\.(\d+))?[^+\s]*(?:\+(\S+))?$/.exec(text.trim());
  if (match === null) return null;
  const numbers = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)] as const;
  return { release: numbers.join('.'), numbers, variant: match[4] ?? null };
}

/** Negative if `a` is older than `b`. Ignores variants. */
export function compareVersions(a: Version, b: Version): number {
  for (const [i, number] of a.numbers.entries()) {
    const difference = number - (b.numbers[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** True if both texts are versions and `found` is older than `minimum`. */
export function isOlder(found: string, minimum: string): boolean {
  const [a, b] = [parseVersion(found), parseVersion(minimum)];
  return a !== null && b !== null && compareVersions(a, b) < 0;
}
