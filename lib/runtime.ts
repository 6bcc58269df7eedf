import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { types } from 'node:util';
import { addonPath, binding, libtorchLocation, requireLibtorch, setLibtorchPath } from './binding';
import { type ErrorCode, TokenLearnerError } from './errors';
import type { CpuIsa, NativeBinding, ThreadsReason } from './native-interface';
import { checkInteger, checkOptions, checkString } from './validate';

/** A problem, reported without throwing. */
export interface RuntimeProblem {
  /** The code of the error that a call would throw. */
  code: ErrorCode;
  /** For people. */
  message: string;
}

/** The result of {@link runtime}.info(). */
export interface RuntimeInfo {
  /** This package's version. */
  version: string;
  /** Node's version. */
  node: string;
  /** For example 'linux-x64'. */
  platform: string;
  /** The native addon; null if it cannot be loaded (see `problem`). */
  addon: {
    /** The .node file. */
    path: string;
    /** The version of the package that it was built from. */
    version: string;
    /** True if it was built with our CUDA kernels. */
    cuda: boolean;
    /** The architectures of the CUDA kernels, separated by commas. */
    cudaArchitectures: string;
  } | null;
  /** The libtorch in use; null if none can be loaded (see `problem`). */
  libtorch: {
    /** Its lib folder. */
    path: string;
    /** The version that it reports, for example '2.13.0'. */
    version: string;
    /** The place where it was found: 'option', 'environment', 'process' (already loaded), 'package', 'cache' or 'python'. */
    source: string;
    /** True if it is a CUDA build. */
    cudaBuild: boolean;
    /** The number of threads that its CPU operators use. */
    threads: number;
  } | null;
  /** 'cpu' and all usable GPUs. */
  devices: {
    /** The value to pass as a module's `device` option. */
    device: string;
    /** For people. */
    name: string;
    /** Bytes; null for the CPU. */
    totalMemory: number | null;
    /** For example '9.0'; null for the CPU. */
    computeCapability: string | null;
  }[];
  /** Says if a GPU is usable and, if not, why. */
  cuda: {
    /** True if device 'auto' means a GPU. */
    available: boolean;
    /** A code for programs; null if a GPU is available. */
    reason: string | null;
    /** The same reason, for people. */
    detail: string | null;
  };
  /** The most threads that one forward of the fused CPU engine uses. */
  threads: number;
  /**
   * The limit that decides `threads`: the physical cores, the process's affinity mask, the CPU quota of its control groups, or
   * OMP_NUM_THREADS. Null if the addon cannot be loaded.
   */
  threadsReason: ThreadsReason | null;
  /** The fused CPU engine; null if the addon cannot be loaded. */
  cpu: {
    /** Its instruction set: 'baseline' (SSE2), 'avx2' or 'avx512' on x64, 'neon' on arm64. TOKENLEARNER_CPU_ISA chooses another. */
    isa: CpuIsa;
  } | null;
  /** The reason why there is no addon or no libtorch; null if both are loaded. */
  problem: RuntimeProblem | null;
}

/** Native memory and layers of this Node environment. */
export interface RuntimeMemory {
  /** The number of native storages that JavaScript holds. */
  liveTensors: number;
  /** The bytes of these storages. */
  liveBytes: number;
  /** The number of native layers that are not disposed. */
  liveLayers: number;
}

/** Options of {@link runtime}.configure(). */
export interface RuntimeOptions {
  /** The libtorch to use: its root, its lib folder, or a Python site-packages/torch. Set it before you create a module. */
  libtorch?: string;
  /**
   * The most forwards that may wait for each device. One more rejects with ERR_QUEUE_FULL. Running forwards do not count.
   * At least 0.
   *
   * @default Infinity
   */
  maxQueueSize?: number;
}

/** This package's version; 'unknown' if package.json is missing, as in a bundle, or not readable. */
function packageVersion(): string {
  try {
    const file = path.join(__dirname, '..', 'package.json');
    return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
  } catch {
    return 'unknown';
  }
}

/** The result of `use`, or the problem if it throws. `code` is for errors that are not a TokenLearnerError. */
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

function describeAddon(
  native: NativeBinding,
): Pick<RuntimeInfo, 'addon' | 'threads' | 'threadsReason' | 'cpu'> {
  const { version, cuda, cudaArchitectures } = native.build;
  const { threads, threadsReason, isa } = native.cpu();
  return {
    addon: { path: addonPath(), version, cuda, cudaArchitectures },
    threads,
    threadsReason,
    cpu: { isa },
  };
}

const NO_ADDON = { addon: null, threads: availableParallelism(), threadsReason: null, cpu: null };

/** Information about this installation, and its settings. */
export const runtime = {
  /** Reports versions, libtorch, devices, and the reason if no GPU is usable. Loads libtorch. Never throws: see `problem`. */
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

  /** Counts the native memory and layers of this Node environment. */
  memory(): RuntimeMemory {
    return binding().counters();
  },

  /**
   * Changes settings of this Node environment.
   *
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE; ERR_INVALID_ARG_VALUE if another libtorch is already loaded.
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
