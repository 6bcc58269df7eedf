/** The version of the running glibc, such as '2.36'; null on musl, and where there is no glibc. */
export function glibcVersion(): string | null {
  if (process.platform !== 'linux') return null;
  // Otherwise the report resolves the names of all network peers.
  (process.report as { excludeNetwork?: boolean }).excludeNetwork = true;
  const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return report.header.glibcVersionRuntime ?? null;
}

/** 'linux-x64 (musl)': what a native library must have been built for. */
export function platformName(): string {
  const isMusl = process.platform === 'linux' && glibcVersion() === null;
  return `${process.platform}-${process.arch}${isMusl ? ' (musl)' : ''}`;
}
