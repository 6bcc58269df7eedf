import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { types } from 'node:util';
import { addonPath, binding, libtorchLocation, requireLibtorch, setLibtorchPath } from './binding';
import { type ErrorCode, TokenLearnerError } from './errors';
import type { NativeBinding, ThreadsReason } from './native-interface';
import { checkInteger, checkOptions, checkString } from './validate';

/** What went wrong, without an exception. */
export interface RuntimeProblem {
  /** As of the error that would be thrown. */
  code: ErrorCode;
  /** For people. */
  message: string;
}

/** What {@link runtime}.info() tells. */
export interface RuntimeInfo {
  /** Of this package. */
  version: string;
  /** Node's version. */
  node: string;
  /** 'linux-x64' */
  platform: string;
  /** The native addon; null where it cannot be loaded (see `problem`). */
  addon: {
    /** The .node file. */
    path: string;
    /** Of the package that it was built from. */
    version: string;
    /** Whether it has our CUDA kernels. */
    cuda: boolean;
    /** The architectures that they are compiled for, separated by commas. */
    cudaArchitectures: string;
  } | null;
  /** The libtorch in use; null where none can be loaded (see `problem`). */
  libtorch: {
    /** Its lib folder. */
    path: string;
    /** As it says itself: '2.13.0'. */
    version: string;
    /** Which of the places it was found in: 'option', 'environment', 'process' (it was loaded already), 'package', 'cache' or 'python'. */
    source: string;
    /** Whether it is a build with CUDA. */
    cudaBuild: boolean;
    /** Threads that its CPU operators use. */
    threads: number;
  } | null;
  /** 'cpu' and the GPUs that can be used. */
  devices: {
    /** As a module's `device` option takes it. */
    device: string;
    /** For people. */
    name: string;
    /** Bytes; null for the CPU. */
    totalMemory: number | null;
    /** '9.0'; null for the CPU. */
    computeCapability: string | null;
  }[];
  /** Whether a GPU can be used. */
  cuda: {
    /** Whether device 'auto' is a GPU. */
    available: boolean;
    /** Machine-readable; null when available. */
    reason: string | null;
    /** The same for people. */
    detail: string | null;
  };
  /** Threads that a forward of the fused CPU engine uses at most. */
  threads: number;
  /**
   * What says so: the physical cores, the process's affinity mask, the CPU quota of its control groups, or OMP_NUM_THREADS; null
   * where the addon cannot be loaded.
   */
  threadsReason: ThreadsReason | null;
  /** Why there is no addon or no libtorch; null when all is well. */
  problem: RuntimeProblem | null;
}

/** Native memory and layers of this Node environment. */
export interface RuntimeMemory {
  /** Native storages that JavaScript holds. */
  liveTensors: number;
  /** Bytes of native tensor memory that JavaScript still holds. */
  liveBytes: number;
  /** Native layers that are not disposed. */
  liveLayers: number;
}

/** Options of {@link runtime}.configure(). */
export interface RuntimeOptions {
  /** The libtorch to use, named before the first module is made: its root, its lib folder, or a Python site-packages/torch. */
  libtorch?: string;
  /**
   * The most forwards that may wait for each device; one more is ERR_QUEUE_FULL. At least 0; those that run do not count.
   *
   * @default Infinity
   */
  maxQueueSize?: number;
}

/** 'unknown' where there is no package.json, as in a bundle, or it may not be read. */
function packageVersion(): string {
  try {
    const file = path.join(__dirname, '..', 'package.json');
    return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
  } catch {
    return 'unknown';
  }
}

/** What `use` gives, or why it gives nothing. `code` is for what is no TokenLearnerError. */
function attempt<T>(code: ErrorCode, use: () => T): { value: T } | { problem: RuntimeProblem } {
  try {
    return { value: use() };
  } catch (error) {
    if (error instanceof TokenLearnerError) return { problem: { code: error.code, message: error.message } };
    return { problem: { code, message: types.isNativeError(error) ? error.message : String(error) } };
  }
}

const CPU = { device: 'cpu', name: 'CPU', totalMemory: null, computeCapability: null };

function describeLibtorch(native: NativeBinding): Pick<RuntimeInfo, 'libtorch' | 'devices' | 'cuda'> {
  const torch = native.libtorch();
  const { available, reason, detail, devices } = native.cuda();
  return {
    libtorch: torch && {
      path: torch.libDir,
      version: torch.version,
      source: libtorchLocation()?.source ?? 'unknown',
      cudaBuild: torch.cudaBuild,
      threads: torch.threads,
    },
    devices: [CPU, ...devices.map(({ index, ...rest }) => ({ device: `cuda:${index}`, ...rest }))],
    cuda: { available, reason, detail },
  };
}

function describeAddon(native: NativeBinding): Pick<RuntimeInfo, 'addon' | 'threads' | 'threadsReason'> {
  const { version, cuda, cudaArchitectures } = native.build;
  const { threads, threadsReason } = native.cpu();
  return { addon: { path: addonPath(), version, cuda, cudaArchitectures }, threads, threadsReason };
}

const NO_ADDON = { addon: null, threads: availableParallelism(), threadsReason: null };

/** What this installation runs on. */
export const runtime = {
  /** Versions, libtorch, devices, and why a GPU is not used. Loads libtorch; never throws: see `problem`. */
  info(): RuntimeInfo {
    const addon = attempt('ERR_ADDON_LOAD', () => describeAddon(binding()));
    const torch = attempt('ERR_LIBTORCH_LOAD', () => describeLibtorch(requireLibtorch()));
    const problem = 'problem' in addon ? addon.problem : 'problem' in torch ? torch.problem : null;
    const without = {
      libtorch: null,
      devices: [],
      cuda: { available: false, reason: 'no-libtorch', detail: problem?.message ?? null },
    };
    return {
      version: packageVersion(),
      node: process.version,
      platform: `${process.platform}-${process.arch}`,
      ...('value' in addon ? addon.value : NO_ADDON),
      ...('value' in torch ? torch.value : without),
      problem,
    };
  },

  /** Native memory that this Node environment holds. */
  memory(): RuntimeMemory {
    return binding().counters();
  },

  /**
   * Settings of this Node environment.
   *
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE; ERR_INVALID_ARG_VALUE once another libtorch is loaded.
   */
  configure(options: RuntimeOptions): void {
    const { libtorch, maxQueueSize } = checkOptions('options', options, ['libtorch', 'maxQueueSize']);
    if (libtorch !== undefined) setLibtorchPath(checkString('options.libtorch', libtorch));
    if (maxQueueSize === undefined) return;
    const isUnlimited = maxQueueSize === Infinity;
    binding().setQueueLimit(
      isUnlimited ? Infinity : checkInteger('options.maxQueueSize', maxQueueSize, { min: 0 }),
    );
  },
};
