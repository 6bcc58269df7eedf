import { remedyForCuda } from '../libtorch/cuda-remedies';
import type { CudaReport } from '../native-interface';
import { failed, fine, type Finding, warning } from './finding';
import type { Machine } from './machine';
import type { ProbeEvent, ProbeReport } from './probe-report';
import { remedyForCode } from './remedies';
import type { SelfTest } from './self-test';

const UNTRIED = 'No native code was tried.';
const MAY_NOT = `${UNTRIED} Let Node start child processes: its permission model (--allow-child-process), limits (ulimit -u, memory) and sandboxes can forbid it.`;

/** Turns the probe's report into findings. `version` is the package's. */
export function checkProbe({ events, crash }: ProbeReport, machine: Machine, version: string): Finding[] {
  const findings = events.flatMap((event) => checkEvent(event, machine, version));
  if (crash === null) return findings;
  const { step, reason } = crash;
  if (step === 'start')
    return [...findings, failed('probe', `no child process could try it: ${reason}`, MAY_NOT)];
  const isGpu = step === 'cuda' || step.startsWith('self-test cuda');
  const remedy = isGpu
    ? `Use the CPU until this is fixed: CUDA_VISIBLE_DEVICES= hides the GPUs. ${remedyForCuda('driver-error') ?? ''}`
    : `${step === 'probe' ? `${UNTRIED} ` : ''}Report it with the output of tokenlearner doctor --json.`;
  return [...findings, failed(step, `the process that tried it ended: ${reason}`, remedy)];
}

function checkEvent(event: ProbeEvent, machine: Machine, version: string): Finding[] {
  if ('begin' in event) return [];
  if ('problem' in event) {
    const { code, message } = event.problem;
    if (code === 'ERR_LIBTORCH_NOT_FOUND') return [withoutLibtorch(message)];
    return [failed(event.step, code === null ? message : `${message} [${code}]`, remedyForCode(code))];
  }
  if ('addon' in event) return [checkAddon(event.addon, version)];
  if ('libtorch' in event) {
    const { version: torch, variant, cudaBuild, libDir, source } = event.libtorch;
    const build = variant ?? (cudaBuild ? 'CUDA' : 'CPU');
    return [fine('libtorch', `${torch} (${build}) at ${libDir}, from ${source}`)];
  }
  if ('cuda' in event) return checkCuda(event.cuda, machine);
  return [checkSelfTest(event.selfTest)];
}

function withoutLibtorch(message: string): Finding {
  return warning(
    'libtorch',
    `none; a TokenLearner on the CPU works without it, other layers, engine 'grouped-conv' and GPUs do not. ${message}`,
    remedyForCode('ERR_LIBTORCH_NOT_FOUND'),
  );
}

function checkAddon(
  addon: { path: string; version: string; cuda: boolean; cudaArchitectures: string },
  version: string,
): Finding {
  const kernels = addon.cuda ? `CUDA kernels for ${addon.cudaArchitectures}` : 'without CUDA kernels';
  const value = `${addon.version}, ${kernels}, ${addon.path}`;
  if (addon.version === version) return fine('addon', value);
  return warning(
    'addon',
    `${value}; the package is ${version}`,
    'Install the package again, or build the addon again.',
  );
}

/** Warns about unavailable CUDA only on a machine with an NVIDIA GPU or driver. */
function checkCuda(
  { available, reason, detail, devices }: CudaReport,
  { nvidiaGpus, nvidiaDriver }: Machine,
): Finding[] {
  if (available) {
    return devices.map(({ index, name, totalMemory, computeCapability }) =>
      fine(
        `cuda:${index}`,
        `${name}, ${(totalMemory / 1e9).toFixed(0)} GB, compute capability ${computeCapability}`,
      ),
    );
  }
  const value = `not used: ${detail ?? 'unknown'} (${reason ?? 'unknown'})`;
  const hasGpu = nvidiaGpus > 0 || nvidiaDriver !== null;
  return [
    hasGpu
      ? warning('CUDA', value, remedyForCuda(reason) ?? 'See the message. The CPU is used until then.')
      : fine('CUDA', value),
  ];
}

function checkSelfTest({ device, engine, error, tolerance, first, second }: SelfTest): Finding {
  const name = `self-test ${device} ${engine}`;
  const value = `error ${error.toExponential(1)} of ${tolerance.toExponential(1)} allowed; ${first.toFixed(1)} ms, then ${second.toFixed(2)} ms`;
  if (error <= tolerance) return fine(name, value);
  return failed(name, value, 'The numbers are wrong on this machine: do not use this device, and report it.');
}
