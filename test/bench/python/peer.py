#!/usr/bin/env python3
"""A Python peer of the benchmark: a process that runs one contender on request, so that Node can interleave all of them.

    python peer.py

One JSON object a line on stdin; for each, one JSON object a line on stdout, in order. The process ends with stdin.

    {"op": "versions"}
      -> {"python", "torch", "onnxruntime", "onnx", "numpy", "torch_cpu_capability"}: strings
    {"op": "export", "workload", "folder", "data"?}
      -> {"repeat": path, "rewrite": path}: the ONNX files, for onnxruntime-node too
    {"op": "setup", "workload", "peer", "threads", "folder"?, "data"?}
      peer: "eager" | "compile" | "onnxruntime-repeat" (the documented layer), "eager-rewrite" | "compile-rewrite" | "onnxruntime-rewrite"
         (without the repetition of x), "matmul" (the floor: the bare first product), the PyTorch ones with "-bfloat16" behind, or
         "onnxruntime-rewrite-int8". The onnxruntime peers take the models that "export" wrote to
         `folder`, or else write them
      -> {"details": {...}, "base_rss_mb"}: details is for example the matrix product's tiling; base_rss_mb is the resident memory with the
         libraries loaded and before the model is. Compiles and tunes; runs once to warm up. May take minutes ("compile").
    {"op": "run", "iters"}
      -> {"times_ms": [...], "peak_rss_mb"}: the wall time of each forward; the process's peak resident memory since it started
    {"op": "verify", "expected"?}
      -> {"error"}: the relative L2 distance of the last output to the float64 `tokens` of the safetensors file `expected`; without it to a
         float64 computation here, which counts in this process's peak; null for "matmul"
    anything that fails -> {"error": message, "failed": true}; the process lives on

A workload is a name of ../workloads.json. `data` is a safetensors file with `input` and the parameters by their state-dict names; without it
everything comes from seed 0. `threads` holds for the process: set it up once. For a peak that means something, start a process for each
peer and workload, and let another process export.
"""

import contextlib
import gc
import importlib.metadata
import json
import platform
import sys
import time

import torch
from export_onnx import export
from peers import PEERS, Peer, exact_tokens
from reference import relative_l2_error
from safetensors.torch import load_file

PACKAGES = ("torch", "onnxruntime", "onnx", "numpy")


def memory_mb(field: str) -> float | None:
    """VmRSS or VmHWM of this process; None where the system does not tell."""
    with contextlib.suppress(OSError), open("/proc/self/status") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    return None


class Session:
    def __init__(self):
        self.peer: Peer | None = None
        self.source: tuple[str, str | None] = ("", None)

    def versions(self) -> dict:
        versions = {name: importlib.metadata.version(name) for name in PACKAGES}
        return {
            "python": platform.python_version(),
            **versions,
            "torch_cpu_capability": torch.backends.cpu.get_cpu_capability(),
        }

    def export(self, workload: str, folder: str, data: str | None = None) -> dict:
        return export(workload, folder, data)

    def setup(self, workload: str, peer: str, threads: int, folder: str = "", data: str | None = None) -> dict:
        if peer not in PEERS:
            raise ValueError(f"unknown peer {peer!r}, expected one of {', '.join(PEERS)}")
        torch.set_num_threads(threads)
        if peer.startswith("onnxruntime"):
            import onnxruntime  # noqa: F401  Counted in the base.
        base = memory_mb("VmRSS")
        self.source = (workload, data)
        self.peer = PEERS[peer](workload, data, threads=threads, folder=folder)
        self.peer.run()
        gc.collect()
        gc.disable()
        return {"details": self.peer.details, "base_rss_mb": base}

    def run(self, iters: int) -> dict:
        peer = self.require_peer()
        times = []
        for _ in range(iters):
            started = time.perf_counter()
            peer.run()
            times.append((time.perf_counter() - started) * 1000)
        return {"times_ms": times, "peak_rss_mb": memory_mb("VmHWM")}

    def verify(self, expected: str | None = None) -> dict:
        tokens = self.require_peer().tokens
        if tokens is None:
            return {"error": None}
        exact = load_file(expected)["tokens"] if expected else exact_tokens(*self.source)
        return {"error": relative_l2_error(tokens, exact)}

    def require_peer(self) -> Peer:
        if self.peer is None:
            raise RuntimeError("setup comes first")
        return self.peer


def main() -> None:
    session = Session()
    operations = {name: getattr(session, name) for name in ("versions", "export", "setup", "run", "verify")}
    # Libraries may print to stdout, which belongs to the protocol.
    replies, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            request = json.loads(line)
            name = request.pop("op", None)
            if name not in operations:
                raise ValueError(f"unknown op {name!r}, expected one of {', '.join(operations)}")
            reply = operations[name](**request)
        except Exception as error:  # Whatever it is, the other side must hear of it.
            reply = {"error": f"{type(error).__name__}: {error}", "failed": True}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
