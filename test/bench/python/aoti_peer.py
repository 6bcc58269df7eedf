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


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x):
        batch, count, dim = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(batch, count, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        x = x + self.proj(nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, count, dim))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """ViT-S/16 without the class token: (B, 3, 224, 224) to (B, 384, 14, 14)."""

    def __init__(self, dim=384, depth=12, heads=6):
        super().__init__()
        self.patch = nn.Conv2d(3, dim, 16, stride=16)
        self.position = nn.Parameter(torch.randn(1, 196, dim) * 0.02)
        self.blocks = nn.Sequential(*[Block(dim, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim)

    def forward(self, x):
        map = self.patch(x)
        tokens = self.norm(self.blocks(map.flatten(2).transpose(1, 2) + self.position))
        return tokens.transpose(1, 2).reshape(map.shape)


class Tiny(nn.Module):
    """As little work as a program can have, for the cost of a call: (B, 4) to (B, 4)."""

    def forward(self, x):
        return x + 1


PROGRAMS = {"vit": (ViT, (3, 224, 224)), "tiny": (Tiny, (4,))}


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
