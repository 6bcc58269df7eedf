import requirements from '../requirements.json';
import { exists } from './access';

const FOREIGN =
  'It is damaged or was built for another platform: install it again on this machine instead of copying it from another one.';

/** Messages of the dynamic loader and their meanings. A meaning returns null if it does not apply after all. */
const MEANINGS: readonly (readonly [pattern: RegExp, meaning: (match: RegExpExecArray) => string | null])[] =
  [
    [
      /version [`'](GLIBC(?:XX)?_[\d.]+)' not found/,
      ([, version]) =>
        `It needs ${version ?? ''}, which this distribution is too old for: use a newer one (glibc ${requirements.glibc} or later).`,
    ],
    [
      /ld-linux|ld-musl|libc\.musl|Error loading shared library/,
      () => 'It was built for glibc and this system has musl: use a distribution with glibc, such as Debian.',
    ],
    [
      /wrong ELF class|invalid ELF header|ELF file's phentsize|Exec format error|incompatible architecture|not a valid Win32/,
      () => FOREIGN,
    ],
    [
      // glibc says this also for a file of another architecture.
      /(\/[^:]+): cannot open shared object file/,
      ([, file]) => (file !== undefined && exists(file) ? FOREIGN : null),
    ],
    [/file too short|section header/, () => 'It is damaged, perhaps by a full disk: install it again.'],
    [
      /lib(?:cu|nv|nccl)[\w.-]*: cannot open shared object file/,
      () =>
        "It is a CUDA build without NVIDIA's libraries beside it: keep the folders of Python's site-packages together, or install it again.",
    ],
    [
      /(lib(?:stdc\+\+|gcc_s|gomp)[\w.-]*): cannot open shared object file/,
      ([, library]) =>
        `${library ?? ''} is missing (on Debian and Ubuntu: apt-get install libstdc++6 libgcc-s1 libgomp1).`,
    ],
    [
      /([\w.+-]+): cannot open shared object file/,
      ([, library]) => `It needs ${library ?? ''}, which this system does not have.`,
    ],
    [
      /undefined symbol: (\w+)/,
      ([, symbol]) =>
        `${symbol ?? ''} is missing: the folder mixes files of different versions; install it again.`,
    ],
    [
      /[Cc]annot allocate memory|failed to map segment/,
      () =>
        'There is not enough memory for it, or it lies on a file system that forbids running programs (noexec).',
    ],
    [
      /Permission denied|EACCES/,
      () => 'This user may not read it: check the permissions of the file and its folders.',
    ],
  ];

/** Explains the loader's message; null if there is nothing to add. */
export function explainLoadFailure(message: string): string | null {
  for (const [pattern, meaning] of MEANINGS) {
    const match = pattern.exec(message);
    const text = match && meaning(match);
    if (text !== null) return text;
  }
  return null;
}
