/** torch.save's zip archive: its records lie in one folder, with data.pkl. */
import type { ByteSource } from './byte-source';
import { formatErrors, type Fail } from './format-error';
import { ZipArchive } from './zip-archive';

/** Refuses old formats: torch.save before 1.6 wrote a bare sequence of pickles, and before 0.1.10 a tar archive. */
async function refuseLegacy(source: ByteSource, fail: Fail): Promise<void> {
  const start = new Uint8Array(Math.min(source.size, 512));
  await source.read(start, 0);
  const text = Buffer.from(start.buffer).toString('latin1');
  if (text.startsWith('PK')) return;
  if (text.startsWith('\x80') || text.slice(257, 262) === 'ustar') {
    throw fail(
      'a checkpoint in the legacy format of PyTorch before 1.6; load it in Python and save it again with ' +
        'torch.save(state_dict, path), which writes the zip format',
    );
  }
  throw fail('not a PyTorch checkpoint: it is not a zip archive');
}

/** True if records of these names are those of a package of compiled programs (.pt2). */
export function holdsCompiledPrograms(names: Iterable<string>): boolean {
  for (const name of names) if (name.includes('data/aotinductor/')) return true;
  return false;
}

/** Finds the one folder that holds data.pkl. Its name ends in a slash. */
function folderOf(records: ReadonlyMap<string, unknown>, fail: Fail): string {
  const pickles = [...records.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  const [pickle] = pickles;
  if (pickle === undefined && holdsCompiledPrograms(records.keys())) {
    throw fail(
      'a package of compiled programs (.pt2) and no file of weights; AotiModel.load, `tokenlearner inspect FILE` and `tokenlearner serve` take it',
    );
  }
  if (pickle === undefined || pickles.length > 1) {
    throw fail(
      `not a PyTorch checkpoint: the zip archive has ${pickles.length} records data.pkl instead of one`,
    );
  }
  const folder = pickle.slice(0, -'data.pkl'.length);
  if (records.has(`${folder}constants.pkl`)) {
    throw fail('a TorchScript archive; save the state dict instead: torch.save(module.state_dict(), path)');
  }
  return folder;
}

/**
 * Reads the archive's directory.
 *
 * @param path - names the source in error messages
 * @throws TokenLearnerError ERR_FILE_FORMAT
 */
export async function openCheckpoint(source: ByteSource, path: string): Promise<ZipArchive> {
  const fail = formatErrors(path);
  return ZipArchive.open(source, path, {
    check: (window) => refuseLegacy(window, fail),
    folderOf: (records) => folderOf(records, fail),
    zeroChecksums: true,
  });
}
