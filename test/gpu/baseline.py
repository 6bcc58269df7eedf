"""PyTorch's side of the GPU bench. It speaks line-delimited JSON on stdin and stdout, so that Node can interleave the runs.

    baseline.py [--device cuda|cpu]

{"op": "versions"}                                        -> {"torch", "cuda", "cudnn", "driver", "card"}
{"op": "setup", "workload": {...}, "peer": P, "mode": M}  -> {"ok": true}
{"op": "run", "peer": P, "iterations": N, "queue": Q}     -> {"latency_ms": [...], "throughput_ms": [...]}, N of each
{"op": "reset"}                                           -> {"ok": true}, and every peer is gone

A failure is {"error": text}. P is eager, compile (max-autotune), matmul (only the first product, with cuBLAS), eager-host (eager from
a tensor in the host's memory to one) or copies (its two copies alone, from and to page-locked memory). M is float32
(TF32 off), tf32 (TF32 for convolutions, as by default in PyTorch, and for matmul), bfloat16 or float16.

The times are those of the wall clock, as on our side. Latency: one forward, then synchronize. Throughput: Q forwards, then
synchronize, divided by Q. The tensors are already on the GPU.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures" / "generate"))
from reference import TokenLearner  # noqa: E402

DTYPES = {"float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
WARM_UPS = 5


class Baseline:
    def __init__(self, device):
        self.device = device
        self.peers = {}

    def versions(self):
        versions = {"torch": torch.__version__, "cuda": torch.version.cuda}
        if self.device == "cpu":
            return {**versions, "cudnn": None, "driver": None, "card": "CPU"}
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(query, capture_output=True, text=True, check=False).stdout.split("\n")[0].strip()
        card = torch.cuda.get_device_name()
        return {**versions, "cudnn": torch.backends.cudnn.version(), "driver": driver, "card": card}

    def setup(self, workload, peer, mode):
        work = self.build(workload, peer, mode)
        for _ in range(WARM_UPS):
            work()
        self.synchronize()
        self.peers[peer] = (work, mode)
        return {"ok": True}

    def build(self, workload, peer, mode):
        """Returns a function without arguments that does the work once."""
        allow_tf32(mode)
        dtype = DTYPES[mode]
        dim, height, width = workload["dim"], workload["height"], workload["width"]
        x = torch.randn(*workload["leading"], dim, height, width, device=self.device, dtype=dtype)
        if peer == "matmul":
            rows = workload["tokens"] * workload["ffMult"] * dim
            weight = torch.randn(rows, dim, device=self.device, dtype=dtype)
            columns = x.flatten(0, -4).flatten(2).transpose(0, 1).reshape(dim, -1).contiguous()
            out = torch.empty(rows, columns.shape[1], device=self.device, dtype=dtype)
            return lambda: torch.mm(weight, columns, out=out)
        if peer == "copies":
            return self.copies(x, torch.empty(*workload["leading"], dim, workload["tokens"], dtype=dtype))
        model = TokenLearner(dim=dim, ff_mult=workload["ffMult"], num_output_tokens=workload["tokens"])
        model = model.to(self.device, dtype).eval()
        if peer == "compile":
            model = torch.compile(model, mode="max-autotune")
        if peer == "eager-host":
            host = x.cpu()
            return lambda: model(host.to(self.device)).cpu()
        return lambda: model(x)

    def copies(self, x, tokens):
        pinned = self.device != "cpu"
        x_host, tokens_host = (each.to("cpu", copy=True) for each in (x, tokens))
        if pinned:
            x_host, tokens_host = x_host.pin_memory(), tokens_host.pin_memory()
        tokens_device = tokens.to(self.device)

        def work():
            x.copy_(x_host, non_blocking=True)
            tokens_host.copy_(tokens_device, non_blocking=True)

        return work

    def run(self, peer, iterations, queue):
        work, mode = self.peers[peer]
        allow_tf32(mode)
        latency, throughput = [], []
        for _ in range(iterations):
            latency.append(self.timed(work, 1))
            throughput.append(self.timed(work, queue))
        return {"latency_ms": latency, "throughput_ms": throughput}

    def timed(self, work, count):
        """The milliseconds of one of `count` forwards."""
        start = time.perf_counter()
        for _ in range(count):
            work()
        self.synchronize()
        return (time.perf_counter() - start) * 1e3 / count

    def synchronize(self):
        if self.device != "cpu":
            torch.cuda.synchronize()

    def reset(self):
        self.peers.clear()
        torch._dynamo.reset()
        if self.device != "cpu":
            torch.cuda.empty_cache()
        return {"ok": True}


def allow_tf32(mode):
    torch.backends.cudnn.allow_tf32 = mode == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = mode == "tf32"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    baseline = Baseline(parser.parse_args().device)
    torch.set_grad_enabled(False)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(baseline, request.pop("op"))(**request)
        except Exception as error:  # noqa: BLE001 - the peer's failure is a result
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
