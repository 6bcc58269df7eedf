"""PyTorch's side of test/bench/aoti.mjs: makes a ViT's package, and runs it on demand.

    python aoti_peer.py FOLDER

Writes FOLDER/vit.pt2 and FOLDER/tiny.pt2 unless they are there. Then reads lines "NAME BATCH RUNS" and answers each with a line of JSON: the median and the fastest
time of a run in microseconds.
"""

import json
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.export import Dim, export

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "python"))
from export import PlainViT  # noqa: E402


class Tiny(nn.Module):
    """As little work as a program can have, for the cost of a call: (B, 4) to (B, 4)."""

    def forward(self, x):
        return x + 1


PROGRAMS = {"vit": (PlainViT, (3, 224, 224)), "tiny": (Tiny, (4,))}


def compile_program(file: Path, name: str) -> None:
    torch.manual_seed(0)
    cls, shape = PROGRAMS[name]
    program = export(cls().eval(), (torch.randn(2, *shape),), dynamic_shapes=({0: Dim("batch", min=1, max=64)},))
    torch._inductor.aoti_compile_and_package(program, package_path=str(file))


def measure(package, x, runs: int) -> dict:
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        package(x)
        times.append((time.perf_counter() - started) * 1e6)
    times.sort()
    return {"median": times[len(times) // 2], "fastest": times[0], "threads": torch.get_num_threads()}


def main(folder: Path) -> None:
    packages = {}
    for name in PROGRAMS:
        file = folder / f"{name}.pt2"
        if not file.exists():
            compile_program(file, name)
        packages[name] = torch._inductor.aoti_load_package(str(file))
    print(json.dumps({"torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        name, batch, runs = line.split()
        x = torch.randn(int(batch), *PROGRAMS[name][1])
        with torch.no_grad():
            packages[name](x)
            print(json.dumps(measure(packages[name], x, int(runs))), flush=True)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    main(Path(sys.argv[1]))
