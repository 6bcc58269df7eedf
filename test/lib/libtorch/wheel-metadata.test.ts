import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { nvidiaRequirements } from '../../../lib/libtorch/wheel-metadata';
import { temporaryFolder, zip } from './support';

const folder = temporaryFolder();

function wheel(name: string, files: Record<string, string>): string {
  const file = path.join(folder, name);
  writeFileSync(file, zip(files));
  return file;
}

describe('nvidiaRequirements', () => {
  it("names NVIDIA's packages, without markers, and leaves out Python's", async () => {
    const metadata = [
      'Metadata-Version: 2.4',
      'Requires-Dist: filelock',
      'Requires-Dist: cuda-toolkit[cublas,cudart]==13.0.3; platform_system == "Linux"',
      'Requires-Dist: cuda-bindings<14,>=13.0.3; platform_system == "Linux"',
      'Requires-Dist: nvidia-cudnn-cu13==9.24.0.43 ; platform_system == "Linux"',
      'Requires-Dist: nvidia-nccl-cu13==2.30.7',
      'Requires-Dist: triton~=3.8.0; platform_system == "Linux"',
    ].join('\r\n');
    const file = wheel('a.whl', { 'other/METADATA': 'x', 'torch-2.14.1.dist-info/METADATA': metadata });
    expect(await nvidiaRequirements(file)).toEqual([
      'cuda-toolkit[cublas,cudart]==13.0.3',
      'nvidia-cudnn-cu13==9.24.0.43',
      'nvidia-nccl-cu13==2.30.7',
    ]);
  });

  it('refuses a file without metadata', async () => {
    await expect(nvidiaRequirements(wheel('b.whl', { 'torch/version.py': '' }))).rejects.toThrow('METADATA');
  });
});
