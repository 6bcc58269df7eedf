import shims from './shim-versions.json';

/** The functions of libtorch's C shim that are newer than the oldest libtorch of this package, by the version that first has them. */
const SINCE: ReadonlyMap<string, string> = new Map(
  Object.entries(shims).flatMap(([version, names]) => names.map((name): [string, string] => [name, version])),
);

/** The version of libtorch that first has a function of its C shim, such as '2.12'; undefined if it is older, or unknown. */
export function versionWithSymbol(name: string): string | undefined {
  return SINCE.get(name);
}
