import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { types } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import { addonPath, binding, findLibtorch, libtorchLocation, setLibtorchPath } from './binding';
import { cudaReport, type Device, deviceFromCode } from './device';
import { type ErrorCode, TokenLearnerError } from './errors';
import type { CpuIsa, CudaReport, NativeBinding, ThreadsReason } from './native-interface';
import { transferBuffer } from './tensor/typed-array';
import { checkInteger, checkOptions, checkString, hasOwn, unexpected } from './validate';

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
  /** The libtorch in use, or the one that would be used. It is loaded only when something needs it. */
  libtorch: {
    /**
     * 'loaded' in this process; 'found', so that it can be loaded; or 'missing': then the other fields are null or false, and
     * `problem` has the reason.
     */
    state: 'loaded' | 'found' | 'missing';
    /** Its lib folder. */
    path: string | null;
    /** The version, for example '2.13.0'. null also if it is not loaded and no file beside it states the version. */
    version: string | null;
    /** The place where it was found: 'option', 'environment', 'process' (already loaded), 'package', 'cache' or 'python'. */
    source: string | null;
    /** True if it is a CUDA build. */
    cudaBuild: boolean;
    /** The number of threads that its CPU operators use; null before it is loaded. */
    threads: number | null;
  };
  /** 'cpu' and all usable GPUs. */
  devices: {
    /** The value to pass as a module's `device` option. */
    device: Device;
    /** For people. */
    name: string;
    /** Bytes; null for the CPU. */
    totalMemory: number | null;
    /** For example '9.0'; null for the CPU. */
    computeCapability: string | null;
    /** Engine 'fused' on this device. */
    fused: {
      /** The reason why it cannot run, for people; null if it can. Engine 'auto' then is 'grouped-conv'. */
      reason: string | null;
      /**
       * The kernels that this process has given up on this device: it refused them, or their results were wrong. Empty until a
       * forward needs one. Engine 'auto' uses 'grouped-conv' in their place; engine 'fused' throws.
       */
      refusedKernels: {
        /** The kernel and its precision, for example 'wgmma bfloat16'. */
        kernel: string;
        /** For people. */
        reason: string;
      }[];
    };
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
   * The limit that decides `threads`: the physical cores, the process's affinity mask, the CPU quota of its control groups,
   * OMP_NUM_THREADS, or {@link runtime}.setThreads(). Null if the addon cannot be loaded.
   */
  threadsReason: ThreadsReason | null;
  /** The fused CPU engine; null if the addon cannot be loaded. */
  cpu: {
    /** Its instruction set: 'baseline' (SSE2), 'avx2' or 'avx512' on x64, 'neon' on arm64. TOKENLEARNER_CPU_ISA chooses another. */
    isa: CpuIsa;
  } | null;
  /** The reason why there is no addon, or no libtorch that can be loaded; null if there are both. */
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
  /** Of the whole process: what `share()` offers and `dispose()` has not ended, and what `move()` sent and nobody has opened. */
  liveShares: number;
}

/** Options of {@link runtime}.configure(). */
export interface RuntimeOptions {
  /** The libtorch to use: its root, its lib folder, or a Python site-packages/torch. Set it before anything needs libtorch. */
  libtorch?: string | undefined;
  /**
   * The most forwards that may wait for each device. One more rejects with ERR_QUEUE_FULL. Running forwards do not count.
   * At least 0.
   *
   * @default Infinity
   */
  maxQueueSize?: number | undefined;
  /**
   * The most bytes of inputs that may wait for each device, counted as elements times their size. A forward that would exceed it
   * rejects with ERR_QUEUE_FULL. Running forwards do not count. At least 0.
   *
   * @default Infinity
   */
  maxQueueBytes?: number | undefined;
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

type LibtorchInfo = RuntimeInfo['libtorch'];

const MISSING: LibtorchInfo = {
  state: 'missing',
  path: null,
  version: null,
  source: null,
  cudaBuild: false,
  threads: null,
};

/** Describes the loaded libtorch, or the one that would be loaded. Loads nothing. Throws the errors of {@link findLibtorch}. */
function describeLibtorch(): LibtorchInfo {
  const torch = binding().libtorch();
  if (torch === null) {
    const { libDir, version, source, hasCuda } = findLibtorch();
    return { state: 'found', path: libDir, version, source, cudaBuild: hasCuda, threads: null };
  }
  const { libDir, version, cudaBuild, threads } = torch;
  return {
    state: 'loaded',
    path: libDir,
    version,
    source: libtorchLocation()?.source ?? 'process',
    cudaBuild,
    threads,
  };
}

/** The limits of this environment's queues. */
const queue = { requests: Infinity, bytes: Infinity };

function checkLimit(name: string, value: unknown): number {
  return value === Infinity ? Infinity : checkInteger(name, value, { min: 0 });
}

/** A sanity limit: larger values are almost certainly typos. */
const MOST_THREADS = 1024;

const CPU = { index: -1, name: 'CPU', totalMemory: null, computeCapability: null };

function describeDevice({
  index,
  ...rest
}: typeof CPU | CudaReport['devices'][number]): RuntimeInfo['devices'][number] {
  return { device: deviceFromCode(index), ...rest, fused: binding().fused(index) };
}

/** Asks the driver, if there is one, which loads libtorch. Throws the errors of {@link cudaReport}. */
function describeDevices(): Pick<RuntimeInfo, 'devices' | 'cuda'> {
  const { available, reason, detail, devices } = cudaReport();
  return {
    devices: [CPU, ...devices].map(describeDevice),
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

/**
 * Information about this installation, and its settings.
 *
 * @example
 * ```ts
 * import { runtime } from 'tokenlearner';
 *
 * const { devices, cuda } = runtime.info();
 * console.log(devices[0]?.device); // cpu
 * if (!cuda.available) console.log(cuda.detail);
 * runtime.configure({ maxQueueSize: 1000 });
 * ```
 */
export const runtime = {
  /**
   * Reports versions, libtorch, devices, and the reason if no GPU is usable. Loads libtorch only if there is an NVIDIA driver.
   * Never throws: see `problem`.
   */
  info(): RuntimeInfo {
    const addon = attempt('ERR_ADDON_LOAD', () => describeAddon(binding()));
    const devices = attempt('ERR_LIBTORCH_LOAD', describeDevices);
    // After the devices: they may have loaded it.
    const libtorch = attempt('ERR_LIBTORCH_LOAD', describeLibtorch);
    const problem = [addon, devices, libtorch].flatMap((part) =>
      hasOwn(part, 'problem') ? part.problem : [],
    )[0];
    return {
      version: packageVersion(),
      node: process.version,
      platform: `${process.platform}-${process.arch}`,
      ...(hasOwn(addon, 'value') ? addon.value : NO_ADDON),
      libtorch: hasOwn(libtorch, 'value') ? libtorch.value : MISSING,
      ...(hasOwn(devices, 'value')
        ? devices.value
        : {
            devices: hasOwn(addon, 'value') ? [describeDevice(CPU)] : [],
            cuda: { available: false, reason: 'no-libtorch', detail: problem?.message ?? null },
          }),
      problem: problem ?? null,
    };
  },

  /**
   * Sets the most threads that compute at once in this process: those of the fused CPU engine, which all models and worker threads
   * share, and those of libtorch's operators. Call it in any thread, at any time: it waits for nothing, and counts for forwards that
   * start later. It overrides OMP_NUM_THREADS, and may ask for more than there are cores. The fused engine's numbers do not depend
   * on it.
   *
   * @param threads - from 1 to 1024. The default, and the reason for it, are in {@link runtime}.info().
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE.
   */
  setThreads(threads: number): void {
    binding().setThreads(checkInteger('threads', threads, { min: 1, max: MOST_THREADS }));
  },

  /** Counts the native memory and layers of this Node environment. */
  memory(): RuntimeMemory {
    return binding().counters();
  },

  /**
   * Frees the memory of an ArrayBuffer at once: for buffers in great number, such as the chunks of requests' bodies, which otherwise stay until
   * a garbage collection and are cold then. Typed arrays over it become empty. Several small Buffers can share one ArrayBuffer: pass
   * only one that is the caller's own.
   *
   * @returns false if the memory stays: in a worker thread before Node 22, and if the buffer cannot be detached (WebAssembly's).
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, also for a SharedArrayBuffer.
   */
  freeBuffer(buffer: ArrayBuffer): boolean {
    if (!types.isArrayBuffer(buffer))
      throw unexpected('ERR_INVALID_ARG_TYPE', 'buffer', 'an ArrayBuffer', buffer);
    if (buffer.byteLength === 0) return true;
    // Node 20 lacks transfer(). Its own detaching ends the process if the thread is being terminated, which a worker can be.
    if (transferBuffer === undefined) return isMainThread && binding().detach(buffer);
    try {
      transferBuffer(buffer, 0);
      return true;
    } catch {
      return false;
    }
  },

  /**
   * Changes settings of this Node environment.
   *
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE; ERR_INVALID_ARG_VALUE if another libtorch is already loaded.
   */
  configure(options: RuntimeOptions): void {
    const names = ['libtorch', 'maxQueueSize', 'maxQueueBytes'] as const;
    const { libtorch, maxQueueSize, maxQueueBytes } = checkOptions('options', options, names);
    const next = {
      requests:
        maxQueueSize === undefined ? queue.requests : checkLimit('options.maxQueueSize', maxQueueSize),
      bytes: maxQueueBytes === undefined ? queue.bytes : checkLimit('options.maxQueueBytes', maxQueueBytes),
    };
    if (libtorch !== undefined) setLibtorchPath(checkString('options.libtorch', libtorch));
    if (next.requests === queue.requests && next.bytes === queue.bytes) return;
    binding().setQueueLimits(next.requests, next.bytes);
    Object.assign(queue, next);
  },
};
