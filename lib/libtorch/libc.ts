/** The version of the running glibc, such as '2.36'; null on musl and on other systems without glibc. */
export function glibcVersion(): string | null {
  if (process.platform !== 'linux') return null;
  // Without this the report resolves the names of all network peers.
  (process.report as { excludeNetwork?: boolean }).excludeNetwork = true;
  const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return report.header.glibcVersionRuntime ?? null;
}

/** The platform that a native library must have been built for, such as 'linux-x64 (musl)'. */
export function platformName(): string {
  const isMusl = process.platform === 'linux' && glibcVersion() === null;
  return `${process.platform}-${process.arch}${isMusl ? ' (musl)' : ''}`;
}
