"""The module that programs.mjs compiles and runs, and what PyTorch computes with it.

    python programs.py DEVICE DTYPE OUT.pt

Writes for each batch in BATCHES the input `4.input`, PyTorch's own result on the device `4.eager`, and that in float64 `4.exact`.
"""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
from export import PlainViT  # noqa: E402

BATCHES = (1, 2, 5)


def make():
    """A small ViT: (B, 3, 64, 64) to the feature map (B, 96, 8, 8)."""
    torch.manual_seed(0)
    module = PlainViT(image=64, patch=8, dim=96, depth=2, heads=3)
    return module.eval()


@torch.no_grad()
def main(device: str, dtype_name: str, out: str) -> None:
    dtype = getattr(torch, dtype_name)
    # Both computations start from the same rounded weights and inputs.
    module = make().to(dtype)
    exact = make().to(dtype).double()
    module.to(device)
    results = {}
    for batch in BATCHES:
        x = torch.randn(batch, 3, 64, 64).to(dtype)
        results[f"{batch}.input"] = x
        results[f"{batch}.eager"] = module(x.to(device)).cpu()
        results[f"{batch}.exact"] = exact(x.double())
    torch.save(results, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
