import * as yauzl from 'yauzl';

/**
 * What pip is to be asked for beside a CUDA build's wheel: the requirements on NVIDIA's packages in its metadata, without
 * their markers. Those on Python packages, such as cuda-bindings, are Python's affair.
 *
 * @throws Error when the file is no wheel.
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
