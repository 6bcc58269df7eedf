import { readFileSync } from 'node:fs';

/** Decodes the octal escapes of /proc/self/mountinfo. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
}

/**
 * True if the file system of a folder forbids running programs, and so loading libraries.
 *
 * @param folder - an absolute path without links
 * @param mountinfo - the text of /proc/self/mountinfo
 */
export function isNoexecIn(mountinfo: string, folder: string): boolean {
  let [longest, isNoexec] = ['', false];
  for (const line of mountinfo.split('\n')) {
    const fields = line.split(' ');
    const [point, options] = [unescape(fields[4] ?? ''), fields[5] ?? ''];
    const isAbove = folder === point || folder.startsWith(point.endsWith('/') ? point : `${point}/`);
    // A later mount on the same point covers the earlier one.
    if (point === '' || !isAbove || point.length < longest.length) continue;
    [longest, isNoexec] = [point, options.split(',').includes('noexec')];
  }
  return isNoexec;
}

/** True if the folder's file system is known to forbid loading libraries. */
export function isNoexec(folder: string): boolean {
  try {
    return isNoexecIn(readFileSync('/proc/self/mountinfo', 'utf8'), folder);
  } catch {
    return false;
  }
}
