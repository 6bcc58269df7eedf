import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const decision = path.resolve(__dirname, '..', '..', 'cmake', 'cuda.cmake');
const onLinux = process.platform === 'linux' ? describe : describe.skip;

onLinux('cmake/cuda.cmake', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-cuda-'));
  const nvcc = path.join(folder, 'nvcc');
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  /** What CMake says with an nvcc of this version, which compiles nothing. */
  function configure(version: string, choice: string): string {
    writeFileSync(nvcc, `#!/bin/sh\necho 'Cuda compilation tools, release ${version}, V${version}.1'\n`, {
      mode: 0o755,
    });
    const lines = [
      'cmake_minimum_required(VERSION 3.22)',
      'project(probe LANGUAGES NONE)',
      `include("${decision}")`,
    ];
    writeFileSync(path.join(folder, 'CMakeLists.txt'), lines.join('\n'));
    const build = path.join(folder, 'build');
    rmSync(build, { recursive: true, force: true });
    const settings = [`-DTOKENLEARNER_CUDA=${choice}`, `-DCMAKE_CUDA_COMPILER=${nvcc}`];
    const { stdout, stderr } = spawnSync('cmake', ['-S', folder, '-B', build, ...settings], {
      encoding: 'utf8',
      env: { ...process.env, CUDAARCHS: undefined },
    });
    return (stdout + stderr).replace(/\s+/g, ' ');
  }

  it('builds without CUDA kernels where nvcc is older than 12.8', () => {
    expect(configure('12.0', 'AUTO')).toMatch(
      /built WITHOUT CUDA kernels \(nvcc 12\.0 is too old: CUDA 12\.8 or later is needed\).*Configuring done/,
    );
  });

  it('is an error where the kernels are demanded', () => {
    expect(configure('11.8', 'ON')).toContain(
      'TOKENLEARNER_CUDA is ON, and nvcc 11.8 is too old: CUDA 12.8 or later is needed',
    );
  });

  it('enables CUDA from 12.8 on', () => {
    const text = configure('12.8', 'AUTO');
    expect(text).toContain('The CUDA compiler identification');
    expect(text).not.toMatch(/WITHOUT|too old/);
  });
});
