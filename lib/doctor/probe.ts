/**
 * The child process that tries all native code, so that a crash becomes a finding and does not end the doctor. Writes
 * {@link ProbeEvent}s to file descriptor 3.
 */
import { writeSync } from 'node:fs';
import { addonPath, binding, libtorchLocation, requireLibtorch } from '../binding';
import { messageOf, TokenLearnerError } from '../errors';
import type { CudaReport } from '../native-interface';
import type { ProbeEvent, ProbeStep } from './probe-report';
import { selfTest } from './self-test';

const REPORT = 3;

function write(event: ProbeEvent): void {
  writeSync(REPORT, `${JSON.stringify(event)}\n`);
}

/** Announces a step, runs it and reports the outcome. Returns undefined if it failed. */
async function attempt<T>(
  step: ProbeStep,
  work: () => T | Promise<T>,
  report: (value: T) => ProbeEvent,
): Promise<T | undefined> {
  write({ step, begin: true });
  try {
    const value = await work();
    write(report(value));
    return value;
  } catch (error) {
    const code = error instanceof TokenLearnerError ? error.code : null;
    write({ step, problem: { code, message: messageOf(error) } });
    return undefined;
  }
}

async function probe(): Promise<void> {
  const addon = await attempt('addon', binding, ({ build }) => {
    const { version, cuda, cudaArchitectures } = build;
    return { step: 'addon', addon: { path: addonPath(), version, cuda, cudaArchitectures } };
  });
  if (addon === undefined) return;
  // First, while libtorch is not loaded: this engine works without it.
  await test('cpu', 'fused');
  const torch = await attempt(
    'libtorch',
    () => requireLibtorch('This check').libtorch(),
    (info) => {
      if (info === null) throw new Error('libtorch reports nothing');
      const { libDir, version, cudaBuild } = info;
      const { variant = null, source = 'unknown' } = libtorchLocation() ?? {};
      return { step: 'libtorch', libtorch: { libDir, version, variant, cudaBuild, source } };
    },
  );
  if (torch === undefined) return;
  await test('cpu', 'grouped-conv');
  const cuda: CudaReport | undefined = await attempt(
    'cuda',
    () => addon.cuda(),
    (report) => ({
      step: 'cuda',
      cuda: report,
    }),
  );
  if (cuda?.available !== true) return;
  for (const { index } of cuda.devices) {
    for (const engine of ['fused', 'grouped-conv'] as const) await test(`cuda:${index}`, engine);
  }
}

async function test(device: 'cpu' | `cuda:${number}`, engine: 'fused' | 'grouped-conv'): Promise<void> {
  const step: ProbeStep = `self-test ${device} ${engine}`;
  await attempt(
    step,
    () => selfTest(device, engine),
    (result) => ({ step, selfTest: result }),
  );
}

void probe();
