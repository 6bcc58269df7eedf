/** The processor's features in the text of /proc/cpuinfo. x86 lists them under `flags`, ARM under `Features`. */
export function parseCpuFlags(cpuinfo: string): string[] {
  return /^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo)?.[1]?.split(/\s+/) ?? [];
}
