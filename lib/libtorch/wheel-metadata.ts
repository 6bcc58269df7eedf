import * as yauzl from 'yauzl';

/**
 * The requirements that a CUDA build's wheel has on NVIDIA's packages, from its metadata, without their markers. Leaves out
 * Python packages, such as cuda-bindings, which only Python needs.
 *
 * @throws Error if the file is not a wheel.
 */
export async function nvidiaRequirements(wheel: string): Promise<string[]> {
  const metadata = await readMetadata(wheel);
  return metadata
    .split(/\r?\n/)
    .map((line) => /^Requires-Dist:\s*([^;]+?)\s*(?:;|$)/.exec(line)?.[1])
    .filter((requirement) => requirement !== undefined)
    .filter((requirement) => /^(?:nvidia-|cuda-toolkit\b)/.test(requirement));
}

async function readMetadata(wheel: string): Promise<string> {
  const zip = await yauzl.openPromise(wheel, { lazyEntries: true });
  for await (const entry of zip.eachEntry()) {
    if (!/^[^/]+\.dist-info\/METADATA$/.test(entry.fileName)) continue;
    const chunks: Buffer[] = [];
    for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk as Buffer);
    zip.close();
    return Buffer.concat(chunks).toString('utf8');
  }
  throw new Error('it has no METADATA');
}
