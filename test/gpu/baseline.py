"""PyTorch's side of the GPU bench. It speaks line-delimited JSON on stdin and stdout, so that Node can interleave the runs.

{"op": "versions"}                                        -> {"torch", "cuda", "cudnn", "driver", "gpu"}
{"op": "setup", "workload": {...}, "peer": P, "mode": M}  -> {"ok": true} or {"error": text}
{"op": "run", "iterations": N}                            -> {"times_ms": [...], "peak_mb": n}

P is eager, compile (max-autotune) or matmul (only the first product, with cuBLAS). M is float32 (TF32 off), tf32 (TF32 for
convolutions, as by default in PyTorch, and for matmul), bfloat16 or float16. CUDA events around each forward measure the
times. The tensors are already on the GPU.
"""

import json
import subprocess
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures" / "generate"))
from reference import TokenLearner  # noqa: E402

DTYPES = {"float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
WARM_UPS = 5


def versions():
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    driver = subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "driver": driver,
        "gpu": torch.cuda.get_device_name(),
    }


def build(workload, peer, mode):
    """Returns a function without arguments that does the work once."""
    torch.backends.cudnn.allow_tf32 = mode == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = mode == "tf32"
    dtype = DTYPES[mode]
    dim, height, width = workload["dim"], workload["height"], workload["width"]
    x = torch.randn(*workload["leading"], dim, height, width, device="cuda", dtype=dtype)
    if peer == "matmul":
        rows = workload["tokens"] * workload["ffMult"] * dim
        weight = torch.randn(rows, dim, device="cuda", dtype=dtype)
        columns = x.flatten(0, -4).flatten(2).transpose(0, 1).reshape(dim, -1).contiguous()
        out = torch.empty(rows, columns.shape[1], device="cuda", dtype=dtype)
        return lambda: torch.mm(weight, columns, out=out)
    model = TokenLearner(dim=dim, ff_mult=workload["ffMult"], num_output_tokens=workload["tokens"])
    model = model.to("cuda", dtype).eval()
    if peer == "compile":
        model = torch.compile(model, mode="max-autotune")
    return lambda: model(x)


def timed(work, iterations):
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    times = []
    for _ in range(iterations):
        start.record()
        work()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return times


def main():
    work = None
    torch.set_grad_enabled(False)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["op"] == "versions":
                answer = versions()
            elif request["op"] == "setup":
                work = None
                torch._dynamo.reset()
                torch.cuda.empty_cache()
                work = build(request["workload"], request["peer"], request["mode"])
                for _ in range(WARM_UPS):
                    work()
                torch.cuda.synchronize()
                torch.cuda.reset_peak_memory_stats()
                answer = {"ok": True}
            else:
                times = timed(work, request["iterations"])
                answer = {"times_ms": times, "peak_mb": torch.cuda.max_memory_allocated() / 1e6}
        except Exception as error:  # noqa: BLE001 - the peer's failure is a result
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
